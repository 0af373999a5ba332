// SPDX-License-Identifier: Apache-2.0

package reminders_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/protoloop/protoloop/consumer/jetstream/embedded"
	"github.com/protoloop/protoloop/consumer/jetstream/reminders"
	"github.com/protoloop/protoloop/grid/remind"
)

// Example sets a reminder in a server within the process. Another program that is started on the same
// folder finds it.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "reminders")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for range 2 {
		srv, err := embedded.Start(embedded.Options{Dir: dir})
		if err != nil {
			log.Fatal(err)
		}
		nc, err := srv.Connect() // or jetstream.Connect("nats://…")
		if err != nil {
			log.Fatal(err)
		}
		store, err := reminders.New(nc, reminders.Options{})
		if err != nil {
			log.Fatal(err)
		}
		rs, err := remind.New(remind.Options{Store: store}) // with a Grid it also delivers
		if err != nil {
			log.Fatal(err)
		}
		all, err := rs.List(ctx, "cart", "ada")
		fmt.Println(len(all), err)
		err = rs.Set(ctx, remind.Reminder{Kind: "cart", ID: "ada", Name: "forgotten", At: time.Now().Add(24 * time.Hour), Message: wrapperspb.String("tea")})
		if err != nil {
			log.Fatal(err)
		}
		nc.Close()
		srv.Shutdown()
	}
	// Output:
	// 0 <nil>
	// 1 <nil>
}
