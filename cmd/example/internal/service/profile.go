// SPDX-License-Identifier: Apache-2.0

package service

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"
)

// serveProfiles serves them until it is closed; not at all if Config.Pprof is empty.
func serveProfiles(cfg Config, logger *slog.Logger) (*http.Server, error) {
	srv := &http.Server{Handler: profiles(cfg), ReadHeaderTimeout: 5 * time.Second}
	if cfg.Pprof == "" {
		return srv, nil
	}
	l, err := net.Listen("tcp", cfg.Pprof)
	if err != nil {
		return nil, fmt.Errorf("profiles: %w", err)
	}
	logger.Info("profiles", "url", "http://"+l.Addr().String()+"/debug/pprof/")
	go func() { _ = srv.Serve(l) }() // until Close
	return srv, nil
}

// profiles are those of package net/http/pprof, for whoever asks for this machine by its own name: a page of
// somebody else's could have its name lead here (DNS rebinding), and read the command line and the
// memory's profile.
func profiles(cfg Config) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	names := cfg
	names.Addr = cfg.Pprof
	return known(mux, names.hosts()...)
}
