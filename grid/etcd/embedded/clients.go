// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// calls are those that a client may make whose certificate is not that of a server: what package etcd and the client itself need.
// What is not here changes the cluster and who may use it, copies all of it, or holds it up.
//
// Roles of etcd would say no more: each node must be able to write each key of a shard, as it may become the owner of any. And a
// role needs users whose names are known before.
var calls = map[string]bool{
	"/etcdserverpb.KV/Range":              true,
	"/etcdserverpb.KV/Put":                true,
	"/etcdserverpb.KV/DeleteRange":        true,
	"/etcdserverpb.KV/Txn":                true,
	"/etcdserverpb.Watch/Watch":           true,
	"/etcdserverpb.Lease/LeaseGrant":      true,
	"/etcdserverpb.Lease/LeaseRevoke":     true,
	"/etcdserverpb.Lease/LeaseKeepAlive":  true,
	"/etcdserverpb.Lease/LeaseTimeToLive": true,
	"/etcdserverpb.Lease/LeaseLeases":     true,
	"/etcdserverpb.Cluster/MemberList":    true,
	"/etcdserverpb.Maintenance/Status":    true,
	"/etcdserverpb.Auth/Authenticate":     true,
	"/grpc.health.v1.Health/Check":        true,
	"/grpc.health.v1.Health/Watch":        true,
}

// checkCalls has the server refuse all others of those clients. servers are by their names.
func checkCalls(servers map[string]string) []grpc.ServerOption {
	check := func(ctx context.Context, method string) error {
		if calls[method] || isServer(ctx, servers) {
			return nil
		}
		return status.Errorf(codes.PermissionDenied, "embedded: %s is for servers: see Certificates.OnlyServers", method)
	}
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			if err := check(ctx, info.FullMethod); err != nil {
				return nil, err
			}
			return handle(ctx, req)
		}),
		grpc.ChainStreamInterceptor(func(srv any, s grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
			if err := check(s.Context(), info.FullMethod); err != nil {
				return err
			}
			return handle(srv, s)
		}),
	}
}

// isServer reports whether a call is by the certificate of one of servers.
func isServer(ctx context.Context, servers map[string]string) bool {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return false
	}
	tls, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(tls.State.VerifiedChains) == 0 {
		return false
	}
	_, is := servers[tls.State.VerifiedChains[0][0].Subject.CommonName]
	return is
}
