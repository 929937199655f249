import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.hadoop.yarn.conf.YarnConfiguration;
import org.apache.hadoop.yarn.server.MiniYARNCluster;

/** A YARN of one resource manager and two nodes in one process: java MiniYarn.java SITE_XML KEY=VALUE ... */
public class MiniYarn {
    public static void main(String[] arguments) throws Exception {
        YarnConfiguration settings = new YarnConfiguration();
        for (int place = 1; place < arguments.length; place++) {
            String[] pair = arguments[place].split("=", 2);
            settings.set(pair[0], pair[1]);
        }
        MiniYARNCluster cluster = new MiniYARNCluster("mini", 2, 1, 1);
        cluster.init(settings);
        cluster.start();
        Path site = Path.of(arguments[0]);
        Path begun = site.resolveSibling(site.getFileName() + ".part");
        try (OutputStream file = Files.newOutputStream(begun)) {
            cluster.getConfig().writeXml(file);
        }
        Files.move(begun, site);
        Thread.sleep(Long.MAX_VALUE);
    }
}
