// SPDX-License-Identifier: Apache-2.0

package table

import (
	"fmt"
	"strings"
)

// Diagram is what is written into files.
type Diagram interface {
	Text() []string
	Mermaid() []string
}

// Splice returns file with the diagram of the table of that name anew. It is what
// follows the line that says "generated from <name>": in a doc comment of Go the
// preformatted lines, in Markdown the fenced ones.
func Splice(file, name string, d Diagram) (string, error) {
	lines := strings.Split(file, "\n")
	at := 0
	for at < len(lines) && !strings.Contains(lines[at], "generated from "+name+" ") {
		at++
	}
	if at == len(lines) {
		return "", fmt.Errorf("no line says \"generated from %s \"", name)
	}
	begin := at + 1
	for begin < len(lines) && (lines[begin] == "" || lines[begin] == "//") {
		begin++
	}
	end := begin
	var made []string
	switch {
	case strings.HasPrefix(lines[at], "//"):
		for end < len(lines) && strings.HasPrefix(lines[end], "//\t") {
			end++
		}
		for _, line := range d.Text() {
			made = append(made, "//\t"+line)
		}
	case begin < len(lines) && lines[begin] == "```mermaid":
		for end < len(lines) && lines[end] != "```" {
			end++
		}
		made = append([]string{"```mermaid"}, d.Mermaid()...)
	default:
		return "", fmt.Errorf("what follows \"generated from %s \" is neither a comment of Go nor ```mermaid", name)
	}
	all := append([]string{}, lines[:begin]...)
	return strings.Join(append(append(all, made...), lines[end:]...), "\n"), nil
}
