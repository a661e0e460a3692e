{{/*
The cluster that this is installed in, as the configuration has it: the one without a kubeconfig. Its rights
follow from that, so that they are what lbd asks for. Nothing where the configuration has no such cluster.
*/}}
{{- define "lb.local" -}}
{{- if hasKey .Values.config "kubernetes" -}}
{{- $clusters := (.Values.config.kubernetes | default dict).clusters | default (list (dict "name" "local")) -}}
{{- $local := list -}}
{{- range $clusters -}}
{{- if not .kubeconfig -}}{{- $local = append $local . -}}{{- end -}}
{{- end -}}
{{- if gt (len $local) 1 -}}{{- fail "config.kubernetes.clusters: more than one without a kubeconfig" -}}{{- end -}}
{{- with $local -}}{{- first . | toJson -}}{{- end -}}
{{- end -}}
{{- end -}}

{{/*
Whether that cluster is the first one, which has the Lease.
*/}}
{{- define "lb.leads" -}}
{{- with include "lb.local" . -}}
{{- $clusters := ($.Values.config.kubernetes | default dict).clusters | default (list (dict "name" "local")) -}}
{{- if not (first $clusters).kubeconfig -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{/*
The namespace of the Lease.
*/}}
{{- define "lb.leaseNamespace" -}}
{{- (.Values.config.kubernetes | default dict).lease_namespace | default .Release.Namespace -}}
{{- end -}}

{{/*
Who lbd is.
*/}}
{{- define "lb.subjects" -}}
subjects:
  - kind: ServiceAccount
    name: lb
    namespace: {{ .Release.Namespace }}
{{- end -}}
