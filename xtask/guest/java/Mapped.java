import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;

/** Reads a mapped file once FILE.go is there, and lives on when that fails. */
class Mapped {
    public static void main(String[] args) throws Exception {
        try (var channel = FileChannel.open(Path.of(args[0]))) {
            var buffer = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size());
            Files.createFile(Path.of(args[0] + ".ready"));
            while (!Files.exists(Path.of(args[0] + ".go"))) {
                Thread.sleep(10);
            }
            try {
                buffer.get(81000);
            } catch (InternalError expected) {
                System.exit(0);
            }
            System.exit(99);
        }
    }
}
