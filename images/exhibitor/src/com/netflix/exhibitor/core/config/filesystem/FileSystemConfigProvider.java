package com.netflix.exhibitor.core.config.filesystem;

import com.netflix.exhibitor.core.config.AutoManageLockArguments;
import com.netflix.exhibitor.core.config.ConfigCollection;
import com.netflix.exhibitor.core.config.ConfigProvider;
import com.netflix.exhibitor.core.config.LoadedInstanceConfig;
import com.netflix.exhibitor.core.config.PropertyBasedInstanceConfig;
import com.netflix.exhibitor.core.config.PseudoLock;
import java.io.File;
import java.io.IOException;
import java.io.StringReader;
import java.io.StringWriter;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Properties;

/**
 * The shared configuration as a file: takes the place of Exhibitor's own class of this name, which the class path finds later.
 *
 * <p>Exhibitor's own truncates the file before it locks and writes it, and a member that reads in that moment believes in an
 * empty configuration until somebody writes again: it leaves the ensemble, serves alone, and in the end writes a list of its
 * own over the ensemble's. This one writes beside the file and renames, so that readers see the old text or the new one, keeps
 * a copy, and never takes an unreadable file for an empty configuration: a member goes on with what it knows.
 *
 * <p>The version of a configuration is the file's modification time, as in Exhibitor's own.
 */
public class FileSystemConfigProvider implements ConfigProvider {
    private static final String HEADER = "Shared by the members of an Exhibitor ensemble: change it through Exhibitor";
    private static final String END = "# end";
    /** Looks at a file that changes while it is read, or whose text breaks off: another writer may be at it. */
    private static final int LOOKS = 10;
    private static final long PAUSE_MS = 50;
    /** A file that has been unreadable for so long is in no writer's hands: the copy is put in its place. */
    private static final long ABANDONED_MS = 10_000;

    private final Path directory;
    private final Path file;
    private final Path copy;
    private final Properties defaults;
    private final AutoManageLockArguments lockArguments;
    private ConfigCollection lastRead;

    public FileSystemConfigProvider(File directory, String name, AutoManageLockArguments lockArguments) throws IOException {
        this(directory, name, new Properties(), lockArguments);
    }

    public FileSystemConfigProvider(
            File directory, String name, Properties defaults, AutoManageLockArguments lockArguments) throws IOException {
        this.directory = Files.createDirectories(directory.toPath());
        this.file = this.directory.resolve(name);
        this.copy = this.directory.resolve(name + ".copy");
        this.defaults = defaults;
        this.lockArguments = lockArguments;
    }

    @Override
    public void start() {}

    @Override
    public void close() {}

    @Override
    public PseudoLock newPseudoLock() throws Exception {
        return new FileSystemPseudoLock(
                directory.toFile(), lockArguments.getPrefix(), lockArguments.getTimeoutMs(), lockArguments.getPollingMs());
    }

    @Override
    public synchronized LoadedInstanceConfig loadConfig() throws Exception {
        long version = version();
        for (int look = 0; look < LOOKS; look++) {
            String text = read(file);
            if (version == version() && (isWhole(text) || isNew(text))) {
                lastRead = parse(text);
                return new LoadedInstanceConfig(lastRead, version);
            }
            Thread.sleep(PAUSE_MS);
            version = version();
        }
        String kept = read(copy);
        System.err.println("exhibitor image: " + file + " is missing, empty or cut; going on with "
                + (isWhole(kept) ? "the copy beside it" : "what was read before"));
        if (isWhole(kept)) {
            if (System.currentTimeMillis() - version > ABANDONED_MS) {
                replace(file, kept);
                version = version();
            }
            lastRead = parse(kept);
        }
        if (lastRead == null) {
            throw new IOException(file + " is unreadable and there is no copy of it: write it anew, or remove it to start"
                    + " without an ensemble");
        }
        return new LoadedInstanceConfig(lastRead, version);
    }

    @Override
    public synchronized LoadedInstanceConfig storeConfig(ConfigCollection config, long expectedVersion) throws Exception {
        if (version() != expectedVersion) {
            return null;
        }
        PropertyBasedInstanceConfig stored = new PropertyBasedInstanceConfig(config);
        StringWriter text = new StringWriter();
        stored.getProperties().store(text, HEADER);
        text.write(END + "\n");
        replace(copy, text.toString());
        replace(file, text.toString());
        lastRead = stored;
        return new LoadedInstanceConfig(stored, version());
    }

    private long version() {
        return file.toFile().lastModified();
    }

    /** The text of a file, or null where there is none. */
    private static String read(Path file) throws IOException {
        try {
            return Files.readString(file, StandardCharsets.ISO_8859_1);
        } catch (NoSuchFileException absent) {
            return null;
        }
    }

    /** Whether nobody has written a configuration yet: an ensemble to be. */
    private boolean isNew(String text) {
        return text == null && lastRead == null && !Files.exists(copy);
    }

    /** Whether the text was written to its end, as far as its writer lets one tell: Exhibitor's own leaves no mark there. */
    private static boolean isWhole(String text) {
        if (text == null || text.isBlank()) {
            return false;
        }
        return !text.startsWith("#" + HEADER) || text.endsWith("\n" + END + "\n");
    }

    private PropertyBasedInstanceConfig parse(String text) throws IOException {
        Properties properties = new Properties();
        properties.load(new StringReader(text == null ? "" : text));
        return new PropertyBasedInstanceConfig(properties, defaults);
    }

    private void replace(Path target, String text) throws IOException {
        Path fresh = Files.createTempFile(directory, target.getFileName() + ".", ".new");
        try {
            try (FileChannel channel = FileChannel.open(fresh, StandardOpenOption.WRITE)) {
                ByteBuffer bytes = ByteBuffer.wrap(text.getBytes(StandardCharsets.ISO_8859_1));
                while (bytes.hasRemaining()) {
                    channel.write(bytes);
                }
                channel.force(true);
            }
            // As Exhibitor's own: readable by whatever user the other members run as.
            fresh.toFile().setReadable(true, false);
            fresh.toFile().setWritable(true, false);
            Files.move(fresh, target, StandardCopyOption.ATOMIC_MOVE);
        } finally {
            Files.deleteIfExists(fresh);
        }
    }
}
