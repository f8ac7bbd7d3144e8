terraform {
  # The first with ephemeral variables.
  required_version = ">= 1.10"
}

variable "db_password" {
  type      = string
  sensitive = true
  # Keeps it out of plans and of the state; `sensitive` alone does not.
  ephemeral = true
}

resource "terraform_data" "schema" {
  provisioner "local-exec" {
    command     = "./create-schema"
    environment = { PGPASSWORD = var.db_password }
  }
}
