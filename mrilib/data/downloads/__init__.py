"""What comes over the network: files, archives, and the e-mails and checksums that name them."""
