import java.nio.charset.StandardCharsets;
import org.jose4j.jwa.AlgorithmConstraints.ConstraintType;
import org.jose4j.jwk.HttpsJwks;
import org.jose4j.jwt.consumer.InvalidJwtException;
import org.jose4j.jwt.consumer.JwtConsumer;
import org.jose4j.jwt.consumer.JwtConsumerBuilder;
import org.jose4j.keys.resolvers.HttpsJwksVerificationKeyResolver;

/** Verifies the token on standard input as a service does, and prints its claims. Needs jose4j. */
class Verify {
    public static void main(String[] arguments) throws Exception {
        String issuer = System.getenv("ISSUER");
        // Made once and kept: it caches the keys, and fetches them again when a token names a new one.
        var keys = new HttpsJwksVerificationKeyResolver(new HttpsJwks(issuer + "/.well-known/jwks.json"));
        JwtConsumer consumer = new JwtConsumerBuilder()
                .setVerificationKeyResolver(keys)
                .setJwsAlgorithmConstraints(ConstraintType.PERMIT, "EdDSA") // that of your signing key, and no other
                .setExpectedIssuer(issuer)
                .setExpectedAudience(System.getenv("AUDIENCE"))
                .setRequireExpirationTime()
                .setRequireSubject()
                .build();
        String token = new String(System.in.readAllBytes(), StandardCharsets.US_ASCII).trim();
        try {
            System.out.println(consumer.processToClaims(token).toJson());
        } catch (InvalidJwtException refusal) {
            // Not its message, which repeats the token.
            System.err.println("refused: " + refusal.getErrorDetails().get(0).getErrorCode());
            System.exit(1);
        }
    }
}
