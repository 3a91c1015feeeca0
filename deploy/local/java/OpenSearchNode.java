import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.codelibs.opensearch.runner.node.OpenSearchRunnerNode;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.plugins.Plugin;

/**
 * One OpenSearch node with the modules of the server's own distribution, made from Maven artifacts.
 *
 * <p>Arguments: HOME, then any number of NAME=VALUE settings. Ends on SIGTERM after a clean close.
 */
public final class OpenSearchNode {
  private static final List<String> MODULES =
      List.of(
          "org.opensearch.transport.Netty4ModulePlugin",
          "org.opensearch.analysis.common.CommonAnalysisModulePlugin",
          "org.opensearch.painless.PainlessModulePlugin",
          "org.opensearch.index.mapper.MapperExtrasModulePlugin",
          "org.opensearch.index.reindex.ReindexModulePlugin",
          "org.opensearch.script.mustache.MustacheModulePlugin",
          "org.opensearch.script.expression.ExpressionModulePlugin",
          "org.opensearch.ingest.common.IngestCommonModulePlugin",
          "org.opensearch.join.ParentJoinModulePlugin",
          "org.opensearch.percolator.PercolatorModulePlugin",
          "org.opensearch.search.aggregations.matrix.MatrixAggregationModulePlugin");

  private OpenSearchNode() {}

  public static void main(String[] arguments) throws Exception {
    Path home = Path.of(arguments[0]).toAbsolutePath();
    Path config = Files.createDirectories(home.resolve("config"));
    Settings.Builder settings =
        Settings.builder()
            .put("path.home", home.toString())
            .put("path.data", Files.createDirectories(home.resolve("data")).toString())
            .put("path.logs", Files.createDirectories(home.resolve("logs")).toString());
    for (int i = 1; i < arguments.length; i++) {
      String[] pair = arguments[i].split("=", 2);
      settings.put(pair[0], pair[1]);
    }
    List<Class<? extends Plugin>> modules = new ArrayList<>();
    for (String module : MODULES) {
      modules.add(load(module));
    }
    var node = new OpenSearchRunnerNode(new Environment(settings.build(), config), modules);
    CountDownLatch ended = new CountDownLatch(1);
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  try {
                    node.close();
                  } catch (IOException e) {
                    e.printStackTrace();
                  }
                  ended.countDown();
                }));
    node.start();
    ended.await();
  }

  /** The runner's packagers named some classes "...ModulePlugin" and left others "...Plugin". */
  private static Class<? extends Plugin> load(String name) throws ClassNotFoundException {
    try {
      return Class.forName(name).asSubclass(Plugin.class);
    } catch (ClassNotFoundException e) {
      return Class.forName(name.replace("ModulePlugin", "Plugin")).asSubclass(Plugin.class);
    }
  }
}
