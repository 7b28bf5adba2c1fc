// etcd with the few of its flags that a cluster of one needs, made of the packages that Kubernetes itself imports for its
// own tests: those hold the server, but not its command.
package main

import (
	"flag"
	"log"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"go.etcd.io/etcd/embed"
)

func addresses(text string) []url.URL {
	parsed, err := url.Parse(text)
	if err != nil {
		log.Fatal(err)
	}
	return []url.URL{*parsed}
}

func main() {
	cfg := embed.NewConfig()
	flag.StringVar(&cfg.Dir, "data-dir", "default.etcd", "where it keeps its data")
	clients := flag.String("listen-client-urls", embed.DefaultListenClientURLs, "where clients come")
	toldClients := flag.String("advertise-client-urls", embed.DefaultAdvertiseClientURLs, "the same, as they are told")
	peers := flag.String("listen-peer-urls", embed.DefaultListenPeerURLs, "where its like would come")
	flag.Parse()
	cfg.LCUrls = addresses(*clients)
	cfg.ACUrls = addresses(*toldClients)
	cfg.LPUrls = addresses(*peers)
	cfg.APUrls = cfg.LPUrls
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.Logger = "zap"
	cfg.LogOutputs = []string{"stderr"}
	etcd, err := embed.StartEtcd(cfg)
	if err != nil {
		log.Fatal(err)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	select {
	case <-stop:
		etcd.Close()
	case err := <-etcd.Err():
		log.Fatal(err)
	}
}
