"""What all tests share."""

from hypothesis import settings

# How long an example takes says nothing on a machine that does other things too; speed is measured in bench/.
settings.register_profile("tailrace", deadline=None)
settings.load_profile("tailrace")
