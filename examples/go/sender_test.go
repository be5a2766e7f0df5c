package sender

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	cluster     = "5eed0000-0000-4000-8000-000000000001"
	contentType = "application/vnd.redhat.openshift.periodic"
)

// stack is the directory of the stack that all tests share; urls are those of its services.
var (
	stack string
	urls  map[string]string
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

// run starts a stack, or uses the one in HEADRACE_STACK, and runs the tests.
func run(m *testing.M) int {
	stack = os.Getenv("HEADRACE_STACK")
	if stack == "" {
		directory, err := os.MkdirTemp("", "headrace-go-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(directory)
		stack = directory
		// It stops with this process, however that ends.
		headrace("up", "--detach", "--port-base", "0", "--while", strconv.Itoa(os.Getpid()))
		defer headrace("down")
	}
	var known struct {
		Services map[string]struct{ URL string }
	}
	if err := json.Unmarshal(headrace("urls", "--json"), &known); err != nil {
		panic(err)
	}
	urls = map[string]string{}
	for name, service := range known.Services {
		urls[name] = service.URL
	}
	return m.Run()
}

// headrace runs a command on the stack and returns what it prints.
func headrace(words ...string) []byte {
	output, err := command(words...).Output()
	if err != nil {
		panic(fmt.Sprintf("headrace %s: %v", strings.Join(words, " "), err))
	}
	return output
}

func command(words ...string) *exec.Cmd {
	made := exec.Command("headrace", words...)
	made.Env = append(os.Environ(), "HEADRACE_DIRECTORY="+stack)
	made.Stderr = os.Stderr
	return made
}

// packed is a tar.gz with the files.
func packed(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var buffer bytes.Buffer
	compressed := gzip.NewWriter(&buffer)
	archive := tar.NewWriter(compressed)
	for name, content := range files {
		header := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}
		if err := archive.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := compressed.Close(); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

func sender(contentType string) *Sender {
	return &Sender{
		URL:         urls["ingress"] + "/api/ingress/v1/upload",
		ClusterID:   cluster,
		Token:       "any",
		ContentType: contentType,
		Client:      &http.Client{Timeout: 30 * time.Second},
	}
}

func TestAnArchiveArrives(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	archive := packed(t, map[string]string{"config/id": cluster})
	requestID, err := sender(contentType).Upload(ctx, archive)
	if err != nil {
		t.Fatal(err)
	}
	// Ends when every service that takes such an upload has reported on it; fails with the reason.
	followed := command("trace", requestID, "--follow", "--type", contentType, "--within", "60")
	output, err := followed.Output()
	t.Logf("%s", output)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(output, []byte("archived as s3://")) {
		t.Fatal("the archiver has no archive of it")
	}
}

func TestARefusalSaysWhy(t *testing.T) {
	_, err := sender("application/vnd.redhat.unheard-of.periodic").Upload(context.Background(), []byte("any"))
	if err == nil || !strings.Contains(err.Error(), "415: Unsupported service 'unheard-of'") {
		t.Fatalf("got %v", err)
	}
}
