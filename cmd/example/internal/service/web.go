// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/protoloop/protoloop/actors"
)

//go:embed page
var page embed.FS

// web is the worker that serves HTTP. It is started first and stopped last, so
// that somebody answers /readyz while the others start and stop.
type web struct {
	addr    string
	handler http.Handler
	logger  *slog.Logger
}

// routes is all that is served.
func routes(h *health, io http.Handler, c *consoleChild) http.Handler {
	files, err := fs.Sub(page, "page")
	if err != nil {
		panic(err) // the folder is part of the program
	}
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", h.whenUp(io))
	mux.HandleFunc("GET /healthz", h.live)
	mux.HandleFunc("GET /readyz", h.ready)
	mux.HandleFunc("GET /console", c.serveLink)
	mux.Handle("/", secured(http.FileServerFS(files)))
	return mux
}

// known serves nobody who asks for a host that is not ours by a name that is
// none of names. An address cannot be another page's name.
func known(next http.Handler, names ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := hostOf(r.Host)
		if host == "localhost" || net.ParseIP(host) != nil || slices.Contains(names, host) || slices.Contains(names, "*") {
			next.ServeHTTP(w, r)
			return
		}
		http.Error(w, "this service has another name: see -hosts", http.StatusMisdirectedRequest)
	})
}

// isLoopback reports whether a host is this machine's own name for itself.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// hostOf is the host without its port, in lower case.
func hostOf(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// hosts are the names of the service.
func (c Config) hosts() []string {
	names := []string{hostOf(c.Addr)}
	for name := range strings.SplitSeq(c.Hosts, ",") {
		names = append(names, hostOf(strings.TrimSpace(name)))
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == "" })
}

// secured allows the page its own files and nothing else.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		h.Set("Content-Security-Policy", "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache") // a new version may be there after a restart
		next.ServeHTTP(w, r)
	})
}

func (s *web) setup(w *actors.Worker) error {
	t := w.Task()
	var listen net.ListenConfig
	l, err := listen.Listen(t.Context(), "tcp", s.addr)
	if err != nil {
		return err
	}
	srv := &http.Server{
		Handler: s.handler,
		// A long poll waits for up to PingInterval, 25 s; WebSocket connections
		// are hijacked and have none of these.
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second,
		WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10,
		ErrorLog:       slog.NewLogLogger(s.logger.Handler(), slog.LevelWarn),
	}
	quiet := newSilent()
	srv.ConnState = quiet.note
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	w.OnStop(func(t *actors.Task) error {
		return t.AwaitOffload(func(ctx context.Context) error { return s.end(ctx, srv, quiet) })
	})
	w.Background("serve", func(t *actors.Task) error { return untilStop(t, ended) })
	s.logger.Info("listening", "url", "http://"+l.Addr().String())
	return nil
}

// answering is how long answers that are under way may take at the end. All else
// has ended by then: what is left are clients that do not go on.
const answering = time.Second

func (s *web) end(ctx context.Context, srv *http.Server, quiet *silent) error {
	ctx, cancel := context.WithTimeout(ctx, answering)
	defer cancel()
	quiet.close()
	if err := srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	s.logger.Warn("connections were cut, which had not ended in time", "waited", answering)
	return srv.Close()
}

// untilStop waits for an error, or returns nil when the worker is told to stop.
func untilStop(t *actors.Task, ended <-chan error) error {
	stopping := t.Stopping()
	return t.AwaitOffload(func(ctx context.Context) error {
		select {
		case err := <-ended:
			return err
		case <-stopping:
		case <-ctx.Done():
		}
		return nil
	})
}
