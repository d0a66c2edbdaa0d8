// Verifies the token on standard input as a service does, and prints its claims.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"strings"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
)

func main() {
	issuer, audience := os.Getenv("ISSUER"), os.Getenv("AUDIENCE")
	// Made once and kept: it caches the keys, and fetches them again when a token names a new one.
	keys, err := keyfunc.NewDefault([]string{issuer + "/.well-known/jwks.json"})
	if err != nil {
		log.Fatal(err)
	}
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{"EdDSA"}), // the algorithm of your signing key, and no other
		jwt.WithIssuer(issuer),
		jwt.WithAudience(audience),
		jwt.WithExpirationRequired(),
	)
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		log.Fatal(err)
	}
	claims := jwt.MapClaims{}
	if _, err := parser.ParseWithClaims(strings.TrimSpace(string(text)), claims, keys.Keyfunc); err != nil {
		log.Fatalf("refused: %v", err)
	}
	out, err := json.Marshal(claims)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(out))
}
