{{- define "portcullis.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "portcullis.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "portcullis.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "portcullis.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "portcullis.operator" -}}{{ include "portcullis.fullname" . }}-operator{{- end -}}
{{- define "portcullis.watchdog" -}}{{ include "portcullis.fullname" . }}-watchdog{{- end -}}
{{- define "portcullis.agent" -}}{{ include "portcullis.fullname" . }}-agent{{- end -}}

{{- /* Labels of one component: a dict of `root` and `component`. */ -}}
{{- define "portcullis.selector" -}}
app.kubernetes.io/name: {{ include "portcullis.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "portcullis.labels" -}}
{{ include "portcullis.selector" . }}
app.kubernetes.io/part-of: portcullis
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "portcullis.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default .Chart.AppVersion $image.tag }}
{{- end -}}
{{- end -}}

{{- define "portcullis.tlsSecret" -}}
{{- if eq .Values.tls.mode "existing" -}}
{{- required "tls.existingSecret has to name a Secret with tls.crt, tls.key and ca.crt where tls.mode is existing" .Values.tls.existingSecret -}}
{{- else -}}
{{ include "portcullis.operator" . }}-tls
{{- end -}}
{{- end -}}

{{- /* The name in the operator's certificate, by which agents know it. */ -}}
{{- define "portcullis.serverName" -}}
{{ include "portcullis.operator" . }}.{{ .Release.Namespace }}.svc
{{- end -}}

{{- /* Variables by which the kubelet tells pods of a Service: NAME_SERVICE_HOST. */ -}}
{{- define "portcullis.serviceVariable" -}}
{{ include "portcullis.operator" . | upper | replace "-" "_" | replace "." "_" }}
{{- end -}}
