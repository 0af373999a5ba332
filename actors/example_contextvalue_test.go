// SPDX-License-Identifier: Apache-2.0

package actors_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/protoloop/protoloop/actors"
)

// Customer is for whom a request is made.
type Customer string

// customerKey is the key of the Customer in a context.
type customerKey struct{}

func parseCustomer(text string) (Customer, error) {
	if text == "" {
		return "", errors.New("a customer without a name")
	}
	return Customer(text), nil
}

func init() {
	actors.RegisterContextValue("shop.customer", customerKey{}, func(c Customer) string { return string(c) }, parseCustomer)
}

// The customer comes into the context once, where the request comes into the service. Each handler
// that works on it finds the customer, in whatever process that is.
func ExampleRegisterContextValue() {
	ctx := context.Background()
	root := actor.NewActorSystem(actor.WithLoggerFactory(silent)).Root
	stock, err := actors.Spawn(ctx, root, "stock", func(w *actors.Worker) error {
		actors.Handle(w, func(t *actors.Task, item string) (string, error) {
			customer, known := t.Context().Value(customerKey{}).(Customer)
			if !known {
				return "", errors.New("nobody asks")
			}
			return fmt.Sprintf("%s for %s", item, customer), nil
		})
		return nil
	}, actors.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(actors.Call[string](context.WithValue(ctx, customerKey{}, Customer("Ada")), root, stock, "a book"))
	fmt.Println(actors.Call[string](ctx, root, stock, "a book"))
	actors.Stop(ctx, root, stock, 0)
	// Output:
	// a book for Ada <nil>
	//  nobody asks
}
