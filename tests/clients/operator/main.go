// Uploads as OpenShift's operators do: a part of mime/multipart's writer, its length known (as the cost operator
// sends it) or streamed through a pipe (as the insights operator does).
package main

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"

	"headrace/tests/clients/request"
)

func writeForm(target io.Writer, boundary string, upload request.Upload) error {
	form := multipart.NewWriter(target)
	if err := form.SetBoundary(boundary); err != nil {
		return err
	}
	header := textproto.MIMEHeader{}
	header.Set("Content-Disposition", fmt.Sprintf("form-data; name=%q; filename=%q", "file", upload.Name))
	header.Set("Content-Type", upload.Type)
	part, err := form.CreatePart(header)
	if err != nil {
		return err
	}
	if _, err := part.Write(upload.Data); err != nil {
		return err
	}
	return form.Close()
}

func main() {
	request.Run(func(upload request.Upload) (io.Reader, string, *http.Client, error) {
		naming := multipart.NewWriter(io.Discard)
		boundary, contentType := naming.Boundary(), naming.FormDataContentType()
		if upload.Stream {
			from, into := io.Pipe()
			go func() { into.CloseWithError(writeForm(into, boundary, upload)) }()
			// The insights operator opens a connection for each upload.
			return from, contentType, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, nil
		}
		body := new(bytes.Buffer)
		return body, contentType, http.DefaultClient, writeForm(body, boundary, upload)
	})
}
