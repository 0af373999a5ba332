package service

import (
	"log/slog"
	"net/http"
	_ "net/http/pprof" // on http.DefaultServeMux, which nothing else serves
	"os"
	"time"
)

// profileVariable has tests look into the process: it is the address that
// net/http/pprof is served on. It is no setting of the service and in no help.
const profileVariable = "PROTOLOOP_TEST_PPROF"

func serveProfiles(logger *slog.Logger) {
	addr := os.Getenv(profileVariable)
	if addr == "" {
		return
	}
	srv := &http.Server{Addr: addr, Handler: http.DefaultServeMux, ReadHeaderTimeout: 5 * time.Second}
	go func() { logger.Warn("profiles are served no more", "err", srv.ListenAndServe()) }()
}
