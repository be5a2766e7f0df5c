// Package sender uploads archives to an ingress, with the standard library only.
package sender

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strconv"
	"time"
)

const attempts = 3

// Sender uploads as the operator of one cluster.
type Sender struct {
	URL         string // of the ingress, with /api/ingress/v1/upload
	ClusterID   string
	Token       string
	ContentType string
	Client      *http.Client
}

// Upload sends an archive and returns its request id. It tries again where the ingress asks for it, with the same
// request id, so that a repetition is recognised.
func (s *Sender) Upload(ctx context.Context, archive []byte) (string, error) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="file"; filename="data.tar.gz"`},
		"Content-Type":        {s.ContentType},
	})
	if err != nil {
		return "", err
	}
	if _, err := part.Write(archive); err != nil {
		return "", err
	}
	if err := form.Close(); err != nil {
		return "", err
	}
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return "", err
	}
	for attempt := 1; ; attempt++ {
		requestID, wait, err := s.post(ctx, body.Bytes(), form.FormDataContentType(), hex.EncodeToString(id))
		if err == nil || wait == 0 || attempt == attempts {
			return requestID, err
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(wait):
		}
	}
}

// post makes one attempt; wait is the pause before the next one, 0 if another attempt is of no use.
func (s *Sender) post(ctx context.Context, body []byte, kind, id string) (requestID string, wait time.Duration, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, bytes.NewReader(body))
	if err != nil {
		return "", 0, err
	}
	request.Header.Set("Content-Type", kind)
	request.Header.Set("Authorization", "Bearer "+s.Token)
	request.Header.Set("User-Agent", "insights-operator/example cluster/"+s.ClusterID)
	request.Header.Set("x-rh-insights-request-id", id)
	response, err := s.Client.Do(request)
	if err != nil {
		return "", 5 * time.Second, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	if err != nil {
		return "", 5 * time.Second, err
	}
	switch response.StatusCode {
	case http.StatusOK, http.StatusCreated, http.StatusAccepted:
		var accepted struct {
			RequestID string `json:"request_id"`
		}
		err = json.Unmarshal(text, &accepted)
		return accepted.RequestID, 0, err
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
		wait = time.Duration(max(seconds, 1)) * time.Second
	}
	return "", wait, fmt.Errorf("the ingress answered %d: %s", response.StatusCode, bytes.TrimSpace(text))
}
