// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/testtools"
)

// TestSQS runs the service on a queue of SQS: items get to the list, survive a
// kill -9, and what is no item becomes a dead letter.
func TestSQS(t *testing.T) {
	t.Parallel()
	endpoint, client := startSQS(t)
	queue, dead := createQueue(t, client, "items"), createQueue(t, client, "dead")
	r := newService(t, "-queue", queue, "-dead-letters", dead, "-lease", "2s")
	r.env = settings(endpoint)
	r.start()
	for _, body := range []string{`{"key":"a","text":"by another program"}`, "nonsense"} {
		if _, err := client.SendMessage(t.Context(), &awssqs.SendMessageInput{QueueUrl: &queue, MessageBody: &body}); err != nil {
			t.Fatal(err)
		}
	}
	for i, text := range []string{"before", "after"} {
		c, err := dial(t.Context(), r.addr, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.call(t.Context(), "add", map[string]string{"text": text}, &struct{}{}); err != nil {
			t.Fatal(err)
		}
		c.close()
		if i == 0 {
			r.kill()
			r.start()
		}
	}
	actortest.Eventually(t, "three items", func() bool { _, total := shown(t, r.addr); return total == 3 })
	actortest.Eventually(t, "one dead letter", func() bool {
		got, err := client.ReceiveMessage(t.Context(), &awssqs.ReceiveMessageInput{QueueUrl: &dead, WaitTimeSeconds: 1})
		return err == nil && len(got.Messages) == 1 && *got.Messages[0].Body == "nonsense"
	})
	r.stop()
}

// startSQS starts an SQS server of its own and returns its URL.
func startSQS(t *testing.T) (endpoint string, client *awssqs.Client) {
	t.Helper()
	endpoint = "http://" + testtools.StartFauxqs(t)
	return endpoint, awssqs.New(awssqs.Options{
		Region: "us-east-1", BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("x", "y", ""),
	})
}

// settings is the environment by which any of AWS's programs finds the server.
func settings(endpoint string) []string {
	return []string{"AWS_ENDPOINT_URL=" + endpoint, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=y"}
}

func createQueue(t *testing.T, client *awssqs.Client, name string) string {
	t.Helper()
	out, err := client.CreateQueue(t.Context(), &awssqs.CreateQueueInput{QueueName: aws.String(name)})
	if err != nil {
		t.Fatal(err)
	}
	return *out.QueueUrl
}
