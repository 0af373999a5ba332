// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/protoloop/protoloop/actortest"
	"github.com/protoloop/protoloop/internal/testtools"
)

func TestMain(m *testing.M) { actortest.Main(m) }

// script installs what the tests need.
const script = "socketio-clients"

func needNode(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		testtools.Lacking(t, "Node.js", script)
	}
	for _, module := range []string{"client3", "client4", "socket.io"} {
		if _, err := os.Stat("node_modules/" + module + "/package.json"); err != nil {
			testtools.Lacking(t, "the npm package "+module, script)
		}
	}
}

// serveReference starts the reference server and returns its port.
func serveReference(t *testing.T, mode string) string {
	t.Helper()
	cmd := exec.Command("node", "server.cjs", mode)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal("the reference server did not start:", err)
	}
	return strings.TrimSpace(port)
}

// transcript runs a scenario and returns what it prints.
func transcript(t *testing.T, command ...string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	var warnings strings.Builder
	cmd.Stderr = &warnings
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%s: %v\n%s", strings.Join(command, " "), err, &warnings)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// compare fails the test where two transcripts differ.
func compare(t *testing.T, reference, ours []string) {
	t.Helper()
	if len(reference) < 5 {
		t.Error("there is hardly anything in the transcript:", reference)
	}
	for i := range max(len(reference), len(ours)) {
		a, b := "(nothing)", "(nothing)"
		if i < len(reference) {
			a = reference[i]
		}
		if i < len(ours) {
			b = ours[i]
		}
		if a != b {
			t.Fatalf("line %d differs:\nreference: %.500s\nours:      %.500s", i+1, a, b)
		}
	}
}

// skipTransport leaves what goes by one transport alone to the long tests: an upgrade
// uses both.
func skipTransport(t *testing.T, mode string) {
	t.Helper()
	if testing.Short() && (mode == "polling" || mode == "websocket") {
		t.Skip("-short: the upgrade is tested")
	}
}

func TestJavaScriptClients(t *testing.T) {
	t.Parallel() // with the other one
	needNode(t)
	for _, client := range []string{"client3", "client4"} {
		for _, mode := range []string{"polling", "websocket", "upgrade", "recovery"} {
			t.Run(client+" "+mode, func(t *testing.T) {
				skipTransport(t, mode)
				t.Parallel() // clients mostly wait
				reference := transcript(t, "node", "scenario.cjs", serveReference(t, mode), client, mode)
				ours := transcript(t, "node", "scenario.cjs", serveOurs(t, mode == "recovery"), client, mode)
				compare(t, reference, ours)
				t.Logf("%d lines are the same", len(ours))
			})
		}
	}
}

func TestPythonClient(t *testing.T) {
	t.Parallel()
	needNode(t) // for the reference server
	python := testtools.Python(t, script, "socketio", "aiohttp")
	for _, mode := range []string{"polling", "websocket", "upgrade"} {
		t.Run(mode, func(t *testing.T) {
			skipTransport(t, mode)
			t.Parallel()
			reference := transcript(t, python, "scenario.py", serveReference(t, mode), mode)
			ours := transcript(t, python, "scenario.py", serveOurs(t, false), mode)
			compare(t, reference, ours)
			t.Logf("%d lines are the same", len(ours))
		})
	}
}
