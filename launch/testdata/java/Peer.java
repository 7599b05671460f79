import java.io.FileInputStream;
import java.security.KeyStore;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

/** One end of connections with mutual TLS, as a Java program makes them from PKCS#12 files. */
public class Peer {
    /**
     * With "serve PASSWORD KEYSTORE TRUSTSTORE" it welcomes whom it trusts. With "ask PASSWORD", and then
     * any number of PORT KEYSTORE TRUSTSTORE, it prints a line for each: the welcome, or what is wrong.
     */
    public static void main(String[] args) throws Exception {
        char[] password = args[1].toCharArray();
        if (args[0].equals("serve")) {
            serve(context(args[2], args[3], password));
        }
        for (int i = 2; i < args.length; i += 3) {
            try {
                System.out.println(ask(context(args[i + 1], args[i + 2], password), Integer.parseInt(args[i])));
            } catch (java.io.IOException refused) {
                System.out.println(refused);
            }
        }
    }

    static SSLContext context(String own, String peers, char[] password) throws Exception {
        KeyManagerFactory keys = KeyManagerFactory.getInstance("PKIX");
        keys.init(load(own, password), password);
        TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
        trust.init(load(peers, password));
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
        return context;
    }

    static KeyStore load(String path, char[] password) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        try (FileInputStream in = new FileInputStream(path)) {
            store.load(in, password);
        }
        return store;
    }

    static void serve(SSLContext context) throws Exception {
        SSLServerSocket server = (SSLServerSocket) context.getServerSocketFactory().createServerSocket(0);
        server.setNeedClientAuth(true);
        System.out.println("port " + server.getLocalPort());
        while (true) {
            try (SSLSocket socket = (SSLSocket) server.accept()) {
                socket.getOutputStream().write("welcome".getBytes());
                socket.getInputStream().read();
            } catch (java.io.IOException refused) {
                System.err.println(refused);
            }
        }
    }

    static String ask(SSLContext context, int port) throws Exception {
        try (SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket("127.0.0.1", port)) {
            SSLParameters parameters = socket.getSSLParameters();
            parameters.setEndpointIdentificationAlgorithm("HTTPS");
            socket.setSSLParameters(parameters);
            return new String(socket.getInputStream().readNBytes(7));
        }
    }
}
