insert into source_types (name, product_name, category, vendor, schema) values
    ('openshift', 'Red Hat OpenShift Container Platform', 'Red Hat', 'Red Hat',
        '{"authentication": [{"type": "token", "name": "Token"}]}'),
    ('amazon', 'Amazon Web Services', 'Cloud', 'Amazon',
        '{"authentication": [{"type": "arn", "name": "ARN"}, {"type": "cloud-meter-arn", "name": "ARN"}]}'),
    ('azure', 'Microsoft Azure', 'Cloud', 'Azure',
        '{"authentication": [{"type": "tenant_id_client_id_client_secret", "name": "Service principal"}]}'),
    ('google', 'Google Cloud', 'Cloud', 'Google',
        '{"authentication": [{"type": "project_id_service_account_json", "name": "Service account"}]}'),
    ('ibm', 'IBM Cloud', 'Cloud', 'IBM',
        '{"authentication": [{"type": "api_token_account_id", "name": "API token"}]}');

insert into application_types (name, display_name, supported_source_types, supported_authentication_types) values
    ('/insights/platform/cost-management', 'Cost Management',
        '["openshift", "amazon", "azure", "google", "ibm"]',
        '{"openshift": ["token"], "amazon": ["arn"], "azure": ["tenant_id_client_id_client_secret"],
          "google": ["project_id_service_account_json"], "ibm": ["api_token_account_id"]}'),
    ('/insights/platform/cloud-meter', 'RHEL management',
        '["amazon", "azure", "google"]',
        '{"amazon": ["cloud-meter-arn"]}');
