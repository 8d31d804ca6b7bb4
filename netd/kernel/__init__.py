"""The kernel's side: namespaces, rtnetlink, sysctls, nftables and their events. Knows no kinds and no configuration."""
