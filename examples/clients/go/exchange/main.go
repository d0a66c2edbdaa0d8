// Exchanges the token in the file named first for one of the participant context named second, and prints it.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"
)

var client = &http.Client{Timeout: 10 * time.Second}

func exchange(tokenFile, context, scope string) (string, error) {
	subjectToken, err := os.ReadFile(tokenFile) // each time: the kubelet replaces the token
	if err != nil {
		return "", err
	}
	form := url.Values{
		"grant_type":         {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:jwt"},
		"subject_token":      {string(subjectToken)},
		"resource":           {context},
		"scope":              {scope},
	}
	for attempt := 1; ; attempt++ {
		response, err := client.PostForm(os.Getenv("JWTLET_URL")+"/token", form)
		if err != nil {
			return "", err
		}
		body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
		response.Body.Close()
		if err != nil {
			return "", err
		}
		switch response.StatusCode {
		case http.StatusOK:
			var answer struct {
				AccessToken string `json:"access_token"`
			}
			err := json.Unmarshal(body, &answer)
			return answer.AccessToken, err
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			if attempt < 3 {
				seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
				time.Sleep(time.Duration(max(seconds, 1)) * time.Second)
				continue
			}
		}
		return "", fmt.Errorf("%s: %s", response.Status, body)
	}
}

func main() {
	scope := ""
	if len(os.Args) > 3 {
		scope = os.Args[3]
	}
	token, err := exchange(os.Args[1], os.Args[2], scope)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token)
}
