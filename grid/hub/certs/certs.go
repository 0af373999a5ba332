// SPDX-License-Identifier: Apache-2.0

// Package certs has what hubs and nodes need of certificates: [Files] for those that somebody has signed, and for
// development an [Authority] that signs them.
//
// The common name of a certificate is the name of the hub or node. A hub needs one that is good for servers and for
// clients (the extended key usages serverAuth and clientAuth) and names the IP address of the hub, and the one from which it dials
// other hubs if that is another; a node needs clientAuth alone. All are signed by one authority, which signs nothing else: whoever has a certificate of it, and
// its name, is that node.
package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
)

// Files are the files of one certificate, in PEM format.
type Files struct {
	// Cert has the certificate, and those between it and the authority's.
	Cert string
	// Key has its private key.
	Key string
	// CA has the certificates of the authorities that the others' certificates are signed by.
	CA string
}

// TLS is what a hub or node uses to dial and to listen. Both sides show a certificate. The Cert and Key are read for each
// connection, so that they can be renewed while it is in use, and the CA once.
func (f Files) TLS() (*tls.Config, error) {
	if _, err := f.load(); err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(f.CA)
	if err != nil {
		return nil, fmt.Errorf("certs: the CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("certs: the CA: %s has no certificate in PEM format", f.CA)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		RootCAs:    pool, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
		GetCertificate:       func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return f.load() },
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return f.load() },
	}, nil
}

func (f Files) load() (*tls.Certificate, error) {
	if f.Cert == "" || f.Key == "" || f.CA == "" {
		return nil, errors.New("certs: the files of the certificate, of its key and of the CA are all needed")
	}
	c, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, fmt.Errorf("certs: the certificate: %w", err)
	}
	return &c, nil
}

// Name is the name in the certificate.
func (f Files) Name() (string, error) {
	c, err := f.load()
	if err != nil {
		return "", err
	}
	if c.Leaf.Subject.CommonName == "" {
		return "", fmt.Errorf("certs: the certificate %s has no common name", f.Cert)
	}
	return c.Leaf.Subject.CommonName, nil
}

// CheckHub says why others would not take the certificate for that of a hub with this name and address.
func (f Files) CheckHub(name, ip string) error {
	c, err := f.load()
	if err != nil {
		return err
	}
	leaf := c.Leaf
	switch err := leaf.VerifyHostname(ip); {
	case leaf.Subject.CommonName != name:
		return fmt.Errorf("certs: the certificate %s has the common name %q, and the hub is called %q", f.Cert, leaf.Subject.CommonName, name)
	case err != nil:
		return fmt.Errorf("certs: the certificate %s does not name the address of the hub: %w", f.Cert, err)
	}
	for usage, called := range map[x509.ExtKeyUsage]string{x509.ExtKeyUsageServerAuth: "servers (serverAuth)", x509.ExtKeyUsageClientAuth: "clients (clientAuth)"} {
		if !slices.Contains(leaf.ExtKeyUsage, usage) && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny) {
			return fmt.Errorf("certs: the certificate %s is not for %s, and a hub is both", f.Cert, called)
		}
	}
	return nil
}
