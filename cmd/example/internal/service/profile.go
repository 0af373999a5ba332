// SPDX-License-Identifier: Apache-2.0

package service

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	_ "net/http/pprof" // on http.DefaultServeMux, which nothing else serves
	"time"
)

// serveProfiles serves them until it is closed; not at all if addr is empty.
func serveProfiles(addr string, logger *slog.Logger) (*http.Server, error) {
	srv := &http.Server{Handler: http.DefaultServeMux, ReadHeaderTimeout: 5 * time.Second}
	if addr == "" {
		return srv, nil
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("profiles: %w", err)
	}
	logger.Info("profiles", "url", "http://"+l.Addr().String()+"/debug/pprof/")
	go func() { _ = srv.Serve(l) }() // until Close
	return srv, nil
}
