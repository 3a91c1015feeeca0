import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.apache.lucene.analysis.Tokenizer;
import org.apache.lucene.analysis.charfilter.MappingCharFilter;
import org.apache.lucene.analysis.charfilter.NormalizeCharMap;
import org.apache.lucene.analysis.pattern.SimplePatternTokenizer;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.index.IndexSettings;
import org.elasticsearch.index.analysis.AbstractCharFilterFactory;
import org.elasticsearch.index.analysis.AbstractTokenizerFactory;
import org.elasticsearch.index.analysis.CharFilterFactory;
import org.elasticsearch.index.analysis.NormalizingCharFilterFactory;
import org.elasticsearch.index.analysis.TokenizerFactory;
import org.elasticsearch.indices.analysis.AnalysisModule.AnalysisProvider;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.AnalysisPlugin;
import org.elasticsearch.plugins.Plugin;

/**
 * One Elasticsearch node made from the artifacts of Maven Central, which hold the server but not its start script.
 *
 * <p>Arguments: HOME, then any number of NAME=VALUE settings. Ends on SIGTERM after a clean close.
 */
public final class ElasticsearchNode extends Node {
  private static final List<String> MODULES =
      List.of(
          "org.elasticsearch.transport.Netty4Plugin",
          "org.elasticsearch.index.mapper.MapperExtrasPlugin",
          "org.elasticsearch.reindex.ReindexPlugin",
          "org.elasticsearch.script.mustache.MustachePlugin",
          "org.elasticsearch.join.ParentJoinPlugin",
          "org.elasticsearch.search.aggregations.matrix.MatrixAggregationPlugin");

  private ElasticsearchNode(Environment environment, List<Class<? extends Plugin>> modules) {
    super(environment, modules, true);
  }

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
    List<Class<? extends Plugin>> modules = new ArrayList<>(List.of(CommonAnalysis.class));
    for (String module : MODULES) {
      modules.add(Class.forName(module).asSubclass(Plugin.class));
    }
    Node node = new ElasticsearchNode(new Environment(settings.build(), config), modules);
    CountDownLatch ended = new CountDownLatch(1);
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  try {
                    node.close();
                  } catch (java.io.IOException e) {
                    e.printStackTrace();
                  }
                  ended.countDown();
                }));
    node.start();
    ended.await();
  }

  /**
   * Two parts of the module analysis-common, which every distribution has and Maven Central has not, around the same
   * classes of Lucene: the char filter `mapping` and the tokenizer `simple_pattern`.
   */
  public static final class CommonAnalysis extends Plugin implements AnalysisPlugin {
    @Override
    public Map<String, AnalysisProvider<CharFilterFactory>> getCharFilters() {
      return Map.of(
          "mapping",
          AnalysisPlugin.requiresAnalysisSettings(
              (index, environment, name, settings) -> new Mapping(index, name, settings)));
    }

    @Override
    public Map<String, AnalysisProvider<TokenizerFactory>> getTokenizers() {
      return Map.of(
          "simple_pattern",
          AnalysisPlugin.requiresAnalysisSettings(
              (index, environment, name, settings) -> new SimplePattern(index, name, settings)));
    }
  }

  private static final class Mapping extends AbstractCharFilterFactory
      implements NormalizingCharFilterFactory {
    private final NormalizeCharMap characters;

    Mapping(IndexSettings index, String name, Settings settings) {
      super(index, name);
      NormalizeCharMap.Builder builder = new NormalizeCharMap.Builder();
      for (String rule : settings.getAsList("mappings")) {
        String[] sides = rule.split("=>", 2);
        builder.add(sides[0].trim(), sides[1].trim());
      }
      characters = builder.build();
    }

    @Override
    public Reader create(Reader reader) {
      return new MappingCharFilter(characters, reader);
    }
  }

  private static final class SimplePattern extends AbstractTokenizerFactory {
    private final String pattern;

    SimplePattern(IndexSettings index, String name, Settings settings) {
      super(index, settings, name);
      pattern = settings.get("pattern", "");
    }

    @Override
    public Tokenizer create() {
      return new SimplePatternTokenizer(pattern);
    }
  }
}
