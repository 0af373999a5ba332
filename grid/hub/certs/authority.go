// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/protoloop/protoloop/internal/gridsubject"
)

// Authority signs certificates, and keeps all, with their keys, in a folder. It is for development and tests: its key
// lies beside what it signs, and nothing is ever revoked.
type Authority struct {
	dir  string
	cert *x509.Certificate
	key  crypto.Signer
}

const (
	certFile = "cert.pem"
	keyFile  = "key.pem"
	lasts    = 365 * 24 * time.Hour
)

// Development is the authority of a folder. It is made if it is not there.
func Development(dir string) (*Authority, error) {
	a := &Authority{dir: dir}
	ca := filepath.Join(dir, "ca")
	if _, err := os.Stat(ca); errors.Is(err, fs.ErrNotExist) {
		if err := a.create(ca); err != nil {
			return nil, fmt.Errorf("certs: make an authority: %w", err)
		}
	}
	cert, key, err := read(ca)
	if err != nil {
		return nil, fmt.Errorf("certs: the authority: %w", err)
	}
	if time.Until(cert.NotAfter) < 0 {
		return nil, fmt.Errorf("certs: the authority in %s has expired: remove the folder", ca)
	}
	a.cert, a.key = cert, key
	return a, nil
}

// create makes an authority at once or not at all: two processes may do so at a time.
func (a *Authority) create(ca string) error {
	tmpl := template("protoloop development CA")
	tmpl.NotAfter = tmpl.NotBefore.Add(10 * lasts)
	tmpl.IsCA, tmpl.KeyUsage = true, x509.KeyUsageCertSign
	err := a.write(ca, tmpl, nil)
	if errors.Is(err, fs.ErrExist) { // another was faster
		return nil
	}
	return err
}

// Hub is the certificate of a hub at these IP addresses.
func (a *Authority) Hub(name string, ips ...string) (Files, error) {
	tmpl := template(name)
	tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, s := range ips {
		ip := net.ParseIP(s)
		if ip == nil {
			return Files{}, fmt.Errorf("certs: %q is no IP address", s)
		}
		tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
	}
	return a.issue("hubs", tmpl)
}

// Node is the certificate of a node.
func (a *Authority) Node(name string) (Files, error) {
	tmpl := template(name)
	tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return a.issue("nodes", tmpl)
}

func template(name string) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(lasts),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
}

// issue is the certificate that is there if it is as the template says and lasts, or a new one.
func (a *Authority) issue(kind string, tmpl *x509.Certificate) (Files, error) {
	name := tmpl.Subject.CommonName
	if name == "" {
		return Files{}, errors.New("certs: a certificate without a name")
	}
	dir := filepath.Join(a.dir, kind, gridsubject.Token(name))
	files := Files{Cert: filepath.Join(dir, certFile), Key: filepath.Join(dir, keyFile), CA: filepath.Join(a.dir, "ca", certFile)}
	is, _, err := read(dir)
	if err == nil && is.CheckSignatureFrom(a.cert) == nil && time.Until(is.NotAfter) > lasts/2 && sameIPs(is.IPAddresses, tmpl.IPAddresses) {
		return files, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		if err := os.RemoveAll(dir); err != nil {
			return Files{}, fmt.Errorf("certs: renew the certificate of %s: %w", name, err)
		}
	}
	if err := a.write(dir, tmpl, a); err != nil && !errors.Is(err, fs.ErrExist) {
		return Files{}, fmt.Errorf("certs: make the certificate of %s: %w", name, err)
	}
	return files, nil
}

func sameIPs(a, b []net.IP) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !a[i].Equal(b[i]) {
			return false
		}
	}
	return true
}

// write makes a key and a certificate, signed by an authority, or by itself, in a folder that is not there.
func (a *Authority) write(dir string, tmpl *x509.Certificate, by *Authority) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	parent, signer := tmpl, crypto.Signer(key)
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), signer)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	parentDir := filepath.Dir(dir)
	if err := os.MkdirAll(parentDir, 0o700); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(parentDir, ".new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	for name, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(temp, name), pem.EncodeToMemory(block), 0o600); err != nil {
			return err
		}
	}
	err = os.Rename(temp, dir)
	if _, exists := os.Stat(dir); err != nil && exists == nil {
		return fs.ErrExist // the systems differ in what they say
	}
	return err
}

func read(dir string) (*x509.Certificate, crypto.Signer, error) {
	pair, err := Files{Cert: filepath.Join(dir, certFile), Key: filepath.Join(dir, keyFile), CA: "of no use here"}.load()
	if err != nil {
		return nil, nil, err
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, nil, errors.New("the key does not sign")
	}
	return pair.Leaf, signer, nil
}
