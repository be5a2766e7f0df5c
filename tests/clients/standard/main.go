// Uploads with net/http alone: the form is written by hand, as short scripts do.
package main

import (
	"io"
	"net/http"
	"strings"

	"headrace/tests/clients/request"
)

const boundary = "a boundary of its own"

func main() {
	request.Run(func(upload request.Upload) (io.Reader, string, *http.Client, error) {
		body := "--" + boundary + "\r\n" +
			"content-type: " + upload.Type + "\r\n" +
			"content-disposition: form-data; name=file; filename=" + upload.Name + "\r\n\r\n" +
			string(upload.Data) + "\r\n--" + boundary + "--\r\n"
		return strings.NewReader(body), `multipart/form-data; boundary="` + boundary + `"`, http.DefaultClient, nil
	})
}
