# Staging of @@
region      = "eu-central-1"
tenant      = "@@"
db_password = "{{ bulla://@@/terraform-stage/password }}"
api_tokens  = ["{{ bulla://@@/terraform-stage/token }}", "static"]
tags = {
  owner         = "ops"
  "cost-centre" = "0042"
}
dsn = "postgres://orders:{{ bulla://@@/terraform-stage/password | url }}@db/orders"
