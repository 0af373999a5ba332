// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/config"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/protoloop/protoloop/consumer/sqs"
)

// openSQS opens a queue of Amazon SQS by its URL. Region, credentials and, for
// another server that speaks SQS, AWS_ENDPOINT_URL come from the environment
// and the files that all of AWS's programs read.
func openSQS(ctx context.Context, c Config) (queue, func(), error) {
	aws, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("the settings for SQS: %w", err)
	}
	q, err := sqs.New(awssqs.NewFromConfig(aws), sqs.Options{URL: c.Queue, Lease: c.Lease, DeadLetters: c.DeadLetters})
	if err != nil {
		return nil, nil, err
	}
	source, err := q.Open(ctx) // it asks for the queue: a wrong URL is told now
	if err != nil {
		return nil, nil, err
	}
	return q, func() {}, source.Close(ctx)
}
