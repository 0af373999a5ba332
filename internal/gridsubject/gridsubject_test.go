// SPDX-License-Identifier: Apache-2.0

package gridsubject

import (
	"strings"
	"testing"
)

func TestTokens(t *testing.T) {
	for name, token := range map[string]string{
		"node-1": "node-1", "a.b": "a%2Eb", "*": "%2A", ">": "%3E", "a b": "a%20b", "%2A": "%252A", "gone": "%67%6F%6E%65",
		"é": "%C3%A9", "\xff\x00\r\n": "%FF%00%0D%0A", "gone1": "gone1",
	} {
		if got := Token(name); got != token {
			t.Errorf("Token(%q) is %q", name, got)
		}
		if got, ok := Name(token); got != name || !ok {
			t.Errorf("Name(%q) is %q, %v", token, got, ok)
		}
	}
	for _, token := range []string{"", "%", "%2", "%2a", "%zz", "%41", "a.b", "a b", "gone", "*", "%+1"} {
		if name, ok := Name(token); ok {
			t.Errorf("Name(%q) is %q", token, name)
		}
	}
}

func FuzzTokens(f *testing.F) {
	f.Add("node-1", "%2E")
	f.Add("gone", "a.b")
	f.Fuzz(func(t *testing.T, name, token string) {
		if name != "" {
			is := Token(name)
			if strings.ContainsAny(is, ".*> \t\r\n\x00") || is == gone {
				t.Errorf("%q becomes %q", name, is)
			}
			if back, ok := Name(is); back != name || !ok {
				t.Errorf("%q becomes %q, and that %q, %v", name, is, back, ok)
			}
		}
		if name, ok := Name(token); ok && Token(name) != token {
			t.Errorf("%q is not the token of %q", token, name)
		}
	})
}

// TestNoticeIsNoFrame: what a node may publish to is neither a notice nor another node's reply subject.
func TestNoticeIsNoFrame(t *testing.T) {
	for _, node := range []string{"gone", "here", "a"} {
		if got := strings.Count(Publish("c", node), "."); got != 4 {
			t.Errorf("%s may publish to %s", node, Publish("c", node))
		}
		if strings.HasPrefix(Here("c", node), "pl.c.gone.") {
			t.Errorf("%s is here by %s, which each node subscribes to", node, Here("c", node))
		}
	}
	for _, name := range []string{"$topic", "topic", "gone"} {
		if strings.HasPrefix(Node("c", name), Topics("c")) {
			t.Errorf("the node %s has the subjects %s, which are those of topics", name, Node("c", name))
		}
	}
	for _, name := range []string{"*", ">", "a.b", "a b", "$topic", "gone"} {
		if is := Topic("c", name) + "n"; strings.Count(is, ".") != 4 || strings.ContainsAny(is, "*> ") || !strings.HasPrefix(is, Topics("c")) {
			t.Errorf("the topic %q has the subject %s", name, is)
		}
	}
	if Probe("c", "a") != "pl.c.a.-.a" || Frames("c", "a", 7, "b.c") != "pl.c.a.7.b%2Ec" {
		t.Error(Probe("c", "a"), Frames("c", "a", 7, "b.c"))
	}
}
