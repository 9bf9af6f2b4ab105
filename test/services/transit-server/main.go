// A real Vault core with its transit engine, in memory, over TLS: what the tests of the KMS driver talk to.
package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"

	log "github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/builtin/logical/transit"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

// builtins knows the transit engine alone.
type builtins struct{}

func (builtins) Contains(name string, kind consts.PluginType) bool {
	return name == "transit" && kind == consts.PluginTypeSecrets
}

func (b builtins) Get(name string, kind consts.PluginType) (func() (interface{}, error), bool) {
	factory := func() (interface{}, error) { return logical.Factory(transit.Factory), nil }
	return factory, b.Contains(name, kind)
}

func (builtins) Keys(kind consts.PluginType) []string {
	if kind == consts.PluginTypeSecrets {
		return []string{"transit"}
	}
	return nil
}

func (b builtins) DeprecationStatus(name string, kind consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, b.Contains(name, kind)
}

func (builtins) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	cert, key, address := os.Args[1], os.Args[2], os.Args[3]
	logger := log.New(&log.LoggerOptions{Level: log.Warn, Output: os.Stderr})
	physical, err := inmem.NewInmem(nil, logger)
	must(err)
	core, err := vault.NewCore(&vault.CoreConfig{
		Physical:        physical,
		LogicalBackends: map[string]logical.Factory{"transit": transit.Factory},
		BuiltinRegistry: builtins{},
		DisableMlock:    true,
		Logger:          logger,
	})
	must(err)
	shares := &vault.SealConfig{SecretShares: 1, SecretThreshold: 1}
	made, err := core.Initialize(context.Background(), &vault.InitParams{BarrierConfig: shares, RecoveryConfig: shares})
	must(err)
	_, err = core.Unseal(made.SecretShares[0])
	must(err)
	listener, err := net.Listen("tcp", address)
	must(err)
	line, _ := json.Marshal(map[string]string{"token": made.RootToken, "unseal": hex.EncodeToString(made.SecretShares[0]), "address": listener.Addr().String()})
	fmt.Println(string(line))
	handler := vaulthttp.Handler.Handler(&vault.HandlerProperties{Core: core, ListenerConfig: &configutil.Listener{}})
	must(http.ServeTLS(listener, handler, cert, key))
}
