// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

// pack adds one version of the module in root/dir to the proxy in the folder out. With edit the packed go.mod is what
// that returns for the one that is there.
func pack(root, dir, version, out string, edit func(goMod string) string) error {
	goMod, err := os.ReadFile(filepath.Join(root, dir, "go.mod"))
	if err != nil {
		return err
	}
	if edit != nil {
		goMod = []byte(edit(string(goMod)))
	}
	m := module.Version{Path: modfile.ModulePath(goMod), Version: version}
	if err := module.Check(m.Path, m.Version); err != nil {
		return err
	}
	files, err := published(root, dir, goMod)
	if err != nil {
		return err
	}
	var packed bytes.Buffer
	if err := zip.Create(&packed, m, files); err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	info, err := json.Marshal(struct {
		Version string
		Time    time.Time
	}{version, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)})
	if err != nil {
		return err
	}
	escaped, err := module.EscapePath(m.Path)
	if err != nil {
		return err
	}
	at := filepath.Join(out, filepath.FromSlash(escaped), "@v")
	if err := os.MkdirAll(at, 0o755); err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		version + ".info": info,
		version + ".mod":  goMod,
		version + ".zip":  packed.Bytes(),
		"list":            []byte(version + "\n"),
	} {
		if err := os.WriteFile(filepath.Join(at, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// published are the files of the module in root/dir. As the go command does, it gives a nested module the repository's
// license: without it the sum in go.sum would be another.
func published(root, dir string, goMod []byte) ([]zip.File, error) {
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ".")
	list.Dir = filepath.Join(root, dir)
	list.Stderr = os.Stderr
	names, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("git ls-files in %s: %w", dir, err)
	}
	var files []zip.File
	licensed := false
	for name := range strings.SplitSeq(strings.TrimRight(string(names), "\x00"), "\x00") {
		f := file{name: name, from: filepath.Join(root, dir, filepath.FromSlash(name))}
		if _, err := os.Lstat(f.from); err != nil {
			continue // a deletion that is yet to be committed
		}
		if name == "go.mod" {
			f.content = goMod
		}
		licensed = licensed || name == "LICENSE"
		files = append(files, f)
	}
	if !licensed {
		files = append(files, file{name: "LICENSE", from: filepath.Join(root, "LICENSE")})
	}
	return files, nil
}

// file is a zip.File; content, if it has any, is in place of what the file has.
type file struct {
	name, from string
	content    []byte
}

func (f file) Path() string { return path.Clean(f.name) }

func (f file) Lstat() (os.FileInfo, error) {
	info, err := os.Lstat(f.from)
	if err == nil && f.content != nil {
		info = sized{info, int64(len(f.content))}
	}
	return info, err
}

func (f file) Open() (io.ReadCloser, error) {
	if f.content != nil {
		return io.NopCloser(bytes.NewReader(f.content)), nil
	}
	return os.Open(f.from)
}

// sized is the FileInfo of a file that has another size.
type sized struct {
	os.FileInfo
	size int64
}

func (s sized) Size() int64 { return s.size }
