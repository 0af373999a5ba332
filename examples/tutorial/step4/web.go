// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// web returns the HTTP interface of the service.
func web(root *actor.RootContext, seats *actor.PID) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /reserve", func(w http.ResponseWriter, r *http.Request) {
		order := Reserve{Seat: r.FormValue("seat"), For: r.FormValue("for")}
		if order.Seat == "" || order.For == "" {
			http.Error(w, "which seat, and for whom?", http.StatusBadRequest)
			return
		}
		ticket, err := Sell.Call(r.Context(), root, seats, order, actors.Timeout(2*time.Second))
		if err != nil {
			refuse(w, err)
			return
		}
		json.NewEncoder(w).Encode(ticket)
	})
	return mux
}

// refuse answers with the status that says what became of a request.
func refuse(w http.ResponseWriter, err error) {
	_, panicked := errors.AsType[*actors.PanicError](err)
	switch {
	case panicked, errors.Is(err, actors.ErrRestarted): // first, because these may wrap any error
		log.Print(err)
		http.Error(w, "internal error", http.StatusInternalServerError)
	case errors.Is(err, errTaken): // the worker's own answer
		http.Error(w, err.Error(), http.StatusConflict)
	case actors.RetrySafe(err): // it has not run: the client may try again
		w.Header().Set("Retry-After", "1")
		http.Error(w, "busy", http.StatusServiceUnavailable)
	case errors.Is(err, actors.ErrTimeout): // it may have run
		http.Error(w, "no answer in time", http.StatusGatewayTimeout)
	case errors.Is(err, actors.ErrCanceled): // the client has left: nobody reads the answer
	default:
		log.Print(err)
		http.Error(w, "internal error", http.StatusInternalServerError)
	}
}
