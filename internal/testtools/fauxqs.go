// SPDX-License-Identifier: Apache-2.0

package testtools

import (
	"bufio"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// fauxqs is the program: the package's own command line listens on all
// addresses.
const fauxqs = `
import { buildApp } from "fauxqs";
const app = buildApp({ logger: false });
console.log(await app.listen({ port: 0, host: "127.0.0.1" }));
process.stdin.on("end", () => process.exit(0)).resume();
`

// StartFauxqs starts an SQS server on loopback and returns its host:port. It
// ends with the test. Its queues are in memory.
func StartFauxqs(t testing.TB) string {
	t.Helper()
	// It warns of node:sqlite, which fauxqs uses.
	cmd := exec.Command(Node(t, "fauxqs"), "--disable-warning=ExperimentalWarning", "--input-type=module", "-e", fauxqs)
	dir, err := Dir()
	if err != nil {
		t.Fatal(err)
	}
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
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait() // it says that it was killed
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("fauxqs did not start: %v", err)
	}
	address, err := url.Parse(strings.TrimSpace(line))
	if err != nil || address.Host == "" {
		t.Fatalf("fauxqs said %q", line)
	}
	return address.Host
}
