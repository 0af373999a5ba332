// SPDX-License-Identifier: Apache-2.0

package sqs

import (
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// plainBodies sends requests whose bodies are readers and nothing more.
//
// The SDK (smithy-go, until 1.28 at least) closes a request's body as soon as
// the headers of the response are there, and its io.WriterTo then returns
// io.EOF, which none may. net/http may at that time still be asking the body
// for what comes after its length; it takes the error for a broken connection
// and closes it under the response. A batch that was just received is so lost
// to the caller, and hidden until its lease is over. The body's Read keeps its
// contract, so it is all that net/http gets to see.
type plainBodies struct{ next sqs.HTTPClient }

func (c plainBodies) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return c.next.Do(r)
}

// withPlainBodies returns a client like another, that sends its bodies so.
func withPlainBodies(client *sqs.Client) *sqs.Client {
	return sqs.New(client.Options(), func(o *sqs.Options) { o.HTTPClient = plainBodies{o.HTTPClient} })
}
