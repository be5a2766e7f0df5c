// Package request sends what a client has made of an upload, and prints the answer as JSON.
package request

import (
	"encoding/json"
	"flag"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
)

// Upload is what is to be sent.
type Upload struct {
	Name, Type string
	Data       []byte
	Stream     bool
}

// Form makes the body of an upload, its content type, and the client that sends it.
type Form func(Upload) (io.Reader, string, *http.Client, error)

type headers struct{ http.Header }

func (h headers) String() string { return "" }

func (h headers) Set(line string) error {
	name, value, _ := strings.Cut(line, ": ")
	h.Header.Set(name, value)
	return nil
}

// Run reads the flags, sends and prints.
func Run(form Form) {
	upload, sent := Upload{Name: "payload.tar.gz"}, headers{http.Header{}}
	url := flag.String("url", "", "where to")
	password := flag.String("basic", "", "user:password")
	flag.StringVar(&upload.Type, "type", "", "content type of the part")
	flag.BoolVar(&upload.Stream, "stream", false, "send it in chunks")
	flag.Var(sent, "header", "a header, `Name: value`")
	flag.Parse()

	var err error
	upload.Data, err = io.ReadAll(os.Stdin)
	check(err)
	body, contentType, client, err := form(upload)
	check(err)
	post, err := http.NewRequest(http.MethodPost, *url, body)
	check(err)
	post.Header = sent.Header
	post.Header.Set("Content-Type", contentType)
	if user, secret, given := strings.Cut(*password, ":"); given {
		post.SetBasicAuth(user, secret)
	}
	answer, err := client.Do(post)
	check(err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	check(err)
	check(json.NewEncoder(os.Stdout).Encode(map[string]any{"status": answer.StatusCode, "text": string(text)}))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
