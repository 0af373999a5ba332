// SPDX-License-Identifier: Apache-2.0

package sqs

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// keeper answers a request and keeps its body, as net/http does that is not
// done with it when the answer comes.
type keeper struct{ body io.Reader }

func (k *keeper) Do(r *http.Request) (*http.Response, error) {
	k.body = r.Body
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}"))}, nil
}

// TestBodyIsReadAfterTheResponse: what net/http reads of a body after the
// response came is its end, not an error, which would close the connection
// under the response.
func TestBodyIsReadAfterTheResponse(t *testing.T) {
	read := func(wrap func(*sqs.Client) *sqs.Client) error {
		k := &keeper{}
		c := wrap(sqs.New(sqs.Options{Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("x", "y", ""), HTTPClient: k}))
		if _, err := c.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String("http://localhost/q")}); err != nil {
			t.Fatal(err)
		}
		_, err := io.Copy(io.Discard, k.body)
		return err
	}
	if err := read(withPlainBodies); err != nil {
		t.Errorf("the body's end is told as %v", err)
	}
	if err := read(func(c *sqs.Client) *sqs.Client { return c }); err == nil {
		t.Error("the SDK has mended it: remove plainBodies")
	}
}
