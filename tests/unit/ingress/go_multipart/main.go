// Says what upstream's way to read an upload makes of each form on stdin.
//
// Input and output are JSON: {name: {"content_type": base64, "body": base64}} and {name: verdict}, where a verdict is
// null (refused) or the file part found and the metadata.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
)

type form struct {
	ContentType []byte `json:"content_type"`
	Body        []byte `json:"body"`
}

type file struct {
	Field       string `json:"field"`
	ContentType string `json:"content_type"`
	Data        []byte `json:"data"`
}

type verdict struct {
	File     *file  `json:"file"`
	Metadata []byte `json:"metadata"`
}

func part(request *http.Request, field string) *file {
	opened, header, err := request.FormFile(field)
	if err != nil {
		return nil
	}
	defer opened.Close()
	data, err := io.ReadAll(opened)
	if err != nil {
		panic(err)
	}
	return &file{field, header.Header.Get("Content-Type"), data}
}

func judge(sent form) *verdict {
	request, err := http.NewRequest("POST", "/", bytes.NewReader(sent.Body))
	if err != nil {
		panic(err)
	}
	request.Header.Set("Content-Type", string(sent.ContentType))
	if request.ParseMultipartForm(8<<20) != nil {
		return nil
	}
	found := &verdict{File: part(request, "file")}
	if found.File == nil {
		found.File = part(request, "upload")
	}
	if metadata := part(request, "metadata"); metadata != nil {
		found.Metadata = metadata.Data
	} else if value := request.FormValue("metadata"); value != "" {
		found.Metadata = []byte(value)
	}
	return found
}

func main() {
	var forms map[string]form
	if err := json.NewDecoder(os.Stdin).Decode(&forms); err != nil {
		panic(err)
	}
	verdicts := map[string]*verdict{}
	for name, sent := range forms {
		verdicts[name] = judge(sent)
	}
	out, err := json.MarshalIndent(verdicts, "", " ")
	if err != nil {
		panic(err)
	}
	fmt.Println(string(out))
}
