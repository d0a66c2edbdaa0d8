# What jwtlet needs of Vault or OpenBao, and not more.
path "transit/keys/signing-jwtlet_pc" { capabilities = ["read"] }
path "transit/sign/signing-jwtlet_pc" { capabilities = ["update"] }
