// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

const root, prefix = "../../..", "github.com/protoloop/protoloop"

// workspace returns the folders of go.work, and the version at which the modules require each other.
func workspace(t *testing.T) (dirs []string, version string) {
	t.Helper()
	data, err := os.ReadFile(root + "/go.work")
	if err != nil {
		t.Fatal(err)
	}
	work, err := modfile.ParseWork("go.work", data, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range work.Use {
		dirs = append(dirs, path.Clean(u.Path))
	}
	for _, r := range work.Replace {
		if r.Old.Path == prefix {
			version = r.Old.Version
		}
	}
	if len(dirs) < 2 || version == "" {
		t.Fatalf("go.work has the modules %v, the root at version %q", dirs, version)
	}
	return dirs, version
}

// packed are the modules of go.work in a proxy of their own, with a module cache that nobody else uses: nothing that is
// packed here may be taken for the released one later. Modules of others come from the cache that is there, where most
// are since the repository's own packages were built, or else from where that has them: a module by itself may need an
// older version than all of go.work together.
type packed struct {
	dirs    []string // of go.work
	version string
	env     []string
}

// packAll packs each module, with the go.mod that edit returns.
func packAll(t *testing.T, edit func(dir, goMod string) string) packed {
	t.Helper()
	proxy := t.TempDir()
	dirs, version := workspace(t)
	for _, dir := range dirs {
		if err := pack(root, dir, version, proxy, func(goMod string) string { return edit(dir, goMod) }); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("go", "env", "GOMODCACHE", "GOPROXY").Output()
	if err != nil {
		t.Fatal(err)
	}
	cache, others, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return packed{dirs, version, append(os.Environ(), "GOWORK=off", "GOSUMDB=off", "GOPRIVATE=", "GONOPROXY=",
		"GOMODCACHE="+t.TempDir(), "GOFLAGS=-mod=mod -modcacherw",
		"GOPROXY=file://"+proxy+",file://"+filepath.ToSlash(cache)+"/cache/download,"+others)}
}

// user is somebody who has nothing of this repository but what a proxy gives.
type user struct {
	dir string
	packed
}

func (p packed) newUser(t *testing.T) *user {
	t.Helper()
	u := &user{t.TempDir(), p}
	u.write(t, "go.mod", "module example.org/user\n\ngo 1.26.0\n")
	return u
}

func (u *user) write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(u.dir, name), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// run runs the go command and returns what it wrote.
func (u *user) run(args ...string) (string, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Env = u.dir, u.env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, errs.String())
	}
	return out.String(), nil
}

// get gets one module as its README says, for a program that imports all packages of it that are for others. It builds
// the program, or with -short only finds what it would be built of.
func (u *user) get(dir string) error {
	module := path.Join(prefix, dir)
	if _, err := u.run("get", module+"@"+u.version); err != nil {
		return err
	}
	packages, err := u.run("list", "-f", `{{if .GoFiles}}{{.Name}} {{.ImportPath}}{{end}}`, module+"/...")
	if err != nil {
		return err
	}
	program := "package main\n\n"
	for line := range strings.Lines(packages) {
		name, p, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "main" || strings.Contains(p, "/internal/") || strings.Contains(p, "/examples/") {
			continue
		}
		program += fmt.Sprintf("import _ %q\n", p)
	}
	program += "\nfunc main() {}\n"
	if err := os.WriteFile(filepath.Join(u.dir, "main.go"), []byte(program), 0o644); err != nil {
		return err
	}
	if testing.Short() {
		_, err = u.run("list", "-deps", ".", module+"/...")
		return err
	}
	return u.buildPackages(".", module+"/...")
}

// buildPackages builds packages of the modules that the user has, each at that version. The modules of others are those of the cache that is
// there: what they are compiled to is in the build cache by the folder that they are in, and the repository's own builds have left it.
func (u *user) buildPackages(packages ...string) error {
	list := append([]string{"list", "-deps", "-f", "{{with .Module}}{{.Path}} {{.Version}}{{end}}"}, packages...)
	before, err := u.run(list...)
	if err != nil {
		return err
	}
	get, edit := []string{"mod", "download", "-json"}, []string{"mod", "edit"}
	for _, dir := range u.dirs {
		get = append(get, path.Join(prefix, dir)+"@"+u.version)
	}
	downloaded, err := u.run(get...)
	if err != nil {
		return err
	}
	for d := json.NewDecoder(strings.NewReader(downloaded)); d.More(); {
		var module struct{ Path, Dir string }
		if err := d.Decode(&module); err != nil {
			return err
		}
		edit = append(edit, "-replace="+module.Path+"="+module.Dir)
	}
	if _, err := u.run(edit...); err != nil {
		return err
	}
	at := *u
	at.env = append(os.Environ(), "GOWORK=off", "GOSUMDB=off", "GOFLAGS=-mod=mod")
	after, err := at.run(list...)
	if err != nil {
		return err
	}
	if before != after {
		return fmt.Errorf("it would be built of\n%s\nand not of what go get has found:\n%s", after, before)
	}
	_, err = at.run(append([]string{"build", "-o", os.DevNull}, packages...)...)
	return err
}

// Each module by itself is what somebody gets who has nothing else of the repository.
func TestGoGet(t *testing.T) {
	all := packAll(t, func(_, goMod string) string { return goMod })
	dirs, _ := workspace(t)
	for _, dir := range dirs {
		t.Run(dir, func(t *testing.T) {
			if err := all.newUser(t).get(dir); err != nil {
				t.Error(err)
			}
		})
	}
}

// Whoever gets a module that asks for what is not there, or that only finds it at home, is told so.
func TestGoGetOfWrongRequirements(t *testing.T) {
	const dir = "consumer/sqs"
	_, version := workspace(t)
	for name, wrong := range map[string]struct {
		edit func(goMod string) string
		want string
	}{
		"a version that nobody has published": {
			func(m string) string { return strings.Replace(m, prefix+" "+version, prefix+" v0.0.9", 1) },
			prefix + "@v0.0.9",
		},
		"a placeholder that a replace directive stands in for": {
			func(m string) string {
				m = strings.Replace(m, prefix+" "+version, prefix+" v0.0.0-00010101000000-000000000000", 1)
				return m + "\nreplace " + prefix + " => ../../\n"
			},
			prefix + "@v0.0.0-00010101000000-000000000000",
		},
	} {
		t.Run(name, func(t *testing.T) {
			edited := false
			err := packAll(t, func(d, goMod string) string {
				if d != dir {
					return goMod
				}
				wrong := wrong.edit(goMod)
				edited = wrong != goMod
				return wrong
			}).newUser(t).get(dir)
			if !edited {
				t.Fatalf("%s/go.mod does not require %s %s", dir, prefix, version)
			}
			if err == nil || !strings.Contains(err.Error(), wrong.want) {
				t.Errorf("go get: %v, want an error about %s", err, wrong.want)
			}
		})
	}
}
