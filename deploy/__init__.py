"""Ways to run Tailrace on more than one process: on this machine (`local`), by Compose, on Kubernetes."""
