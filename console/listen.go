// SPDX-License-Identifier: Apache-2.0

package console

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/protoloop/protoloop/internal/view"
)

// networkOf is what Addr says: "unix" for a path, and empty for the default, or "tcp".
func networkOf(addr string) (network string, err error) {
	if path, is := strings.CutPrefix(addr, "unix:"); is || addr == "" {
		if is && path == "" {
			return "", errors.New("names no file behind \"unix:\"")
		}
		return "unix", nil
	}
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return "", fmt.Errorf("is neither unix:PATH nor host:port: %w", err)
	}
	return "tcp", nil
}

// listen opens what Addr says. The name is how it is logged: an URL, or the path of the socket.
func (c *Console) listen(ctx context.Context) (l net.Listener, name string, err error) {
	if network, _ := networkOf(c.opts.Addr); network == "tcp" {
		var config net.ListenConfig
		if l, err = config.Listen(ctx, "tcp", c.opts.Addr); err != nil {
			return nil, "", err
		}
		return l, c.urlOf(l.Addr()), nil
	}
	path, isPath := strings.CutPrefix(c.opts.Addr, "unix:")
	if !isPath {
		if path, err = ownSocket(); err != nil {
			return nil, "", err
		}
	}
	if l, err = listenUnix(path); err != nil {
		return nil, "", err
	}
	return l, path, nil
}

// urlOf is where a browser finds what listens at an address. One that stands for all of a machine's is no name to ask for.
func (c *Console) urlOf(at net.Addr) string {
	addr := at.String()
	if a, ok := at.(*net.TCPAddr); ok && a.IP.IsUnspecified() {
		host := "localhost"
		if len(c.opts.Hosts) > 0 {
			host = hostOf(c.opts.Hosts[0])
		}
		addr = net.JoinHostPort(host, strconv.Itoa(a.Port))
	}
	return "http://" + addr + "/"
}

// ownSocket is the path of a socket of this process in view.SocketDir, which is made. What processes have left
// behind that were killed is removed.
func ownSocket() (string, error) {
	dir := view.SocketDir()
	if err := makePrivate(dir); err != nil {
		return "", err
	}
	removeStale(dir)
	for i := 1; ; i++ {
		name := strconv.Itoa(os.Getpid())
		if i > 1 { // a second console of this process
			name += "-" + strconv.Itoa(i)
		}
		path := filepath.Join(dir, name+".sock")
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			return path, nil
		} else if err != nil {
			return "", err
		}
	}
}

// makePrivate makes a folder that nobody else can look into, or makes sure that it is one: in
// the folder for temporary files anybody may have made it, or a link, before.
func makePrivate(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is no folder", dir)
	}
	if err := os.Chmod(dir, 0o700); err != nil { // which only its owner can
		return fmt.Errorf("%s is not ours: %w", dir, err)
	}
	return nil
}

// removeStale removes the sockets of processes that are gone. A socket at which nobody
// listens may be one that is just being opened: so its process has to be gone, too, or to be
// this one.
func removeStale(dir string) {
	paths, _ := filepath.Glob(filepath.Join(dir, "*.sock")) // the pattern is good
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".sock")
		name, _, _ = strings.Cut(name, "-")
		pid, err := strconv.Atoi(name)
		if err != nil || !isDeserted(path) {
			continue
		}
		if pid == os.Getpid() || !isRunning(pid) {
			_ = os.Remove(path) // another process may have done so
		}
	}
}

// isDeserted reports whether nobody listens at a socket.
func isDeserted(path string) bool {
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		conn.Close()
		return false
	}
	return isRefused(err)
}

// listenUnix opens a socket that only this user can reach. The file is made in a folder that nobody
// else can enter, and gets its name when its mode is right.
func listenUnix(path string) (net.Listener, error) {
	if info, err := os.Lstat(path); err == nil {
		if info.Mode()&fs.ModeSocket == 0 {
			return nil, fmt.Errorf("%s is there and no socket", path)
		}
		if !isDeserted(path) {
			return nil, fmt.Errorf("%s is in use: somebody listens there", path)
		}
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".c")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	made := filepath.Join(dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: made, Net: "unix"})
	if err != nil {
		if len(made) > 100 {
			err = fmt.Errorf("%w (the path is too long for a socket: set Addr to a shorter one)", err)
		}
		return nil, err
	}
	l.SetUnlinkOnClose(false) // by a name that it has no more
	err = os.Chmod(made, 0o600)
	if err == nil {
		err = os.Rename(made, path)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	info, err := os.Lstat(path)
	if err != nil {
		l.Close()
		return nil, err
	}
	return &socketFile{l, path, info}, nil
}

// socketFile is a listener that removes its file, if that is still its own.
type socketFile struct {
	net.Listener
	path string
	info fs.FileInfo
}

// Close ends it.
func (s *socketFile) Close() error {
	if now, err := os.Lstat(s.path); err == nil && os.SameFile(now, s.info) {
		_ = os.Remove(s.path) // it is no use to anybody, and the next process removes it
	}
	return s.Listener.Close()
}
