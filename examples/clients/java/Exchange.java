import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** Exchanges the token in the file named first for one of the participant context named second, and prints it. */
class Exchange {
    private static final HttpClient CLIENT = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(5)).build();
    // A token has no character that JSON escapes. A service would use its JSON library.
    private static final Pattern ACCESS_TOKEN = Pattern.compile("\"access_token\":\"([A-Za-z0-9._-]+)\"");

    static String exchange(Path tokenFile, String context, String scope) throws Exception {
        Map<String, String> form = new LinkedHashMap<>();
        form.put("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
        form.put("subject_token_type", "urn:ietf:params:oauth:token-type:jwt");
        form.put("subject_token", Files.readString(tokenFile)); // each time: the kubelet replaces the token
        form.put("resource", context);
        form.put("scope", scope);
        String body = form.entrySet().stream()
                .map(entry -> entry.getKey() + "=" + URLEncoder.encode(entry.getValue(), StandardCharsets.UTF_8))
                .collect(Collectors.joining("&"));
        HttpRequest request = HttpRequest.newBuilder(URI.create(System.getenv("JWTLET_URL") + "/token"))
                .timeout(Duration.ofSeconds(10))
                .header("Content-Type", "application/x-www-form-urlencoded")
                .POST(BodyPublishers.ofString(body))
                .build();
        for (int attempt = 1;; attempt++) {
            var response = CLIENT.send(request, BodyHandlers.ofString());
            var token = ACCESS_TOKEN.matcher(response.body());
            if (response.statusCode() == 200 && token.find()) {
                return token.group(1);
            }
            boolean passes = response.statusCode() == 429 || response.statusCode() == 503;
            if (!passes || attempt == 3) {
                throw new IllegalStateException(response.statusCode() + ": " + response.body());
            }
            Thread.sleep(Duration.ofSeconds(response.headers().firstValueAsLong("Retry-After").orElse(1)).toMillis());
        }
    }

    public static void main(String[] arguments) throws Exception {
        String scope = arguments.length > 2 ? arguments[2] : "";
        System.out.println(exchange(Path.of(arguments[0]), arguments[1], scope));
    }
}
