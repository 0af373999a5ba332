// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// ErrFilesLost is why a server does not start whose files are lost. The others have counted on what it had: one that begins
// anew under its name could have them forget it, too.
var ErrFilesLost = errors.New("its files are lost, and the other servers know it")

// errNotVoter is why a server may not start yet that takes the place of another.
var errNotVoter = errors.New("it does not count in elections yet")

// hasFiles reports whether a server has begun in the folder.
func hasFiles(dir string) bool {
	entries, err := os.ReadDir(filepath.Join(dir, "member", "wal"))
	return err == nil && len(entries) > 0
}

// others are the servers of the cluster but this one, by what they say of themselves.
type others struct {
	s    *Server
	self string   // the URL of this server among servers
	urls []string // those of the others
	tls  *tls.Config
}

func (s *Server) others() (*others, error) {
	o := &others{s: s}
	if c := s.o.Certificates; c != nil {
		info := c.info()
		var err error
		if o.tls, err = info.ClientConfig(); err != nil {
			return nil, fmt.Errorf("the certificates: %w", err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.o.Servers)) {
		u := url.URL{Scheme: "http", Host: s.o.Servers[name]}
		if s.o.Certificates != nil {
			u.Scheme = "https"
		}
		if name == s.o.Name {
			o.self = u.String()
		} else {
			o.urls = append(o.urls, u.String())
		}
	}
	return o, nil
}

// member is one as a server tells other servers.
type member struct {
	PeerURLs   []string `json:"peerURLs"`
	ClientURLs []string `json:"clientURLs"`
	Name       string   `json:"name"`
	IsLearner  bool     `json:"isLearner"`
}

// list is what the first of the others says that answers.
func (o *others) list(ctx context.Context) (all []member, err error) {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: o.tls, DisableKeepAlives: true}, Timeout: listWithin}
	for _, u := range o.urls {
		var got []member
		if got, err = listAt(ctx, client, u); err == nil && len(got) > 0 {
			return got, nil
		}
	}
	return nil, cmp.Or(err, errors.New("they know no servers"))
}

func listAt(ctx context.Context, client *http.Client, at string) (all []member, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at+"/members", nil)
	if err != nil {
		return nil, err
	}
	answer, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", at, answer.Status)
	}
	err = json.NewDecoder(answer.Body).Decode(&all)
	return all, err
}

// checkNew fails if a server without files is not one that the others have never seen. etcd looks for that, too, but not at a server that has
// been replaced before, whose number it does not know.
func (o *others) checkNew(ctx context.Context) error {
	all, err := o.list(ctx)
	if err != nil {
		return nil // nobody is there yet, as at the first start of the cluster
	}
	published, known := true, false
	for _, m := range all {
		if slices.Contains(m.PeerURLs, o.self) {
			if known = true; m.Name != o.s.o.Name || m.IsLearner || len(m.ClientURLs) > 0 {
				return ErrFilesLost
			}
		}
		published = published && len(m.ClientURLs) > 0
	}
	if !known && published { // it was removed, and not added again
		return ErrFilesLost
	}
	return nil
}

// client is one of the others that have ever been ready.
func (o *others) client(ctx context.Context) (*clientv3.Client, error) {
	var c *clientv3.Client
	err := retry(ctx, func() error {
		all, err := o.list(ctx)
		if err != nil {
			return err
		}
		var endpoints []string
		for _, m := range all {
			if !slices.Contains(m.PeerURLs, o.self) && !m.IsLearner {
				endpoints = append(endpoints, m.ClientURLs...)
			}
		}
		if len(endpoints) == 0 {
			return errors.New("none of them is ready")
		}
		c, err = clientv3.New(clientv3.Config{Endpoints: endpoints, TLS: o.tls, Logger: zap.NewNop(), DialTimeout: 5 * time.Second, DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: 2 * time.Second})
		return err
	})
	return c, err
}

// retry calls f until it succeeds, or the time is over, or it fails by what does not pass.
func retry(ctx context.Context, f func() error) (err error) {
	for {
		if err = f(); err == nil {
			return nil
		}
		if _, lasting := errors.AsType[*lastingError](err); lasting {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// lastingError is one that does not pass by itself.
type lastingError struct{ error }

const (
	listWithin = 10 * time.Second
	// callWithin bounds a call to the others, which waits for a majority.
	callWithin = 5 * time.Second
)

// join has the others take this server for a new one. What they know by its address is removed first: what it had is lost, and a
// server with another number cannot be taken for it. It is a learner then, which has no vote, so that nobody counts on it before it has
// everything: see promote. All of it can be done again after a failure half-way.
//
// Without a majority of the others nothing is changed: none of the calls succeeds.
func (o *others) join(ctx context.Context) error {
	c, err := o.client(ctx)
	if err != nil {
		return fmt.Errorf("no other server answers: %w", err)
	}
	defer c.Close()
	return retry(ctx, func() error {
		ctx, cancel := context.WithTimeout(ctx, callWithin)
		defer cancel()
		list, err := c.MemberList(ctx)
		if err != nil {
			return fmt.Errorf("the other servers have no majority: %w", err)
		}
		for _, m := range list.Members {
			if slices.Contains(m.PeerURLs, o.self) {
				if err := o.remove(ctx, c, m); err != nil {
					return err
				}
			} else if m.Name == o.s.o.Name {
				return &lastingError{fmt.Errorf("the others have it at %s, and not at %s: its address stays", strings.Join(m.PeerURLs, ", "), o.self)}
			}
		}
		if _, err := c.MemberAddAsLearner(ctx, []string{o.self}); err != nil && !errors.Is(err, rpctypes.ErrPeerURLExist) { // its answer was lost
			return fmt.Errorf("the others do not take it: %w", err)
		}
		return nil
	})
}

func (o *others) remove(ctx context.Context, c *clientv3.Client, m *etcdserverpb.Member) error {
	if _, err := c.MemberRemove(ctx, m.ID); err != nil && !errors.Is(err, rpctypes.ErrMemberNotFound) {
		return fmt.Errorf("the others do not give up what they know of it: %w", err)
	}
	return nil
}

// promote lets a server that is ready count in elections, once it has what the others have. One that was ended before goes on with that
// when it is started again.
func (o *others) promote(ctx context.Context) error {
	if !o.s.e.Server.IsLearner() {
		return nil
	}
	c, err := o.client(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	err = retry(ctx, func() error {
		call, cancel := context.WithTimeout(ctx, callWithin)
		defer cancel()
		_, err := c.MemberPromote(call, uint64(o.s.e.Server.MemberID()))
		if errors.Is(err, rpctypes.ErrMemberNotLearner) {
			return nil
		}
		return err
	})
	if err == nil { // it is told as the others are
		err = retry(ctx, func() error {
			if o.s.e.Server.IsLearner() {
				return errNotVoter
			}
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errNotVoter, err)
	}
	return nil
}
