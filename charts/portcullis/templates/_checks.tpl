{{- /* What values.schema.json cannot say, as it takes two values to see it. */ -}}
{{- define "portcullis.checks" -}}
{{- $operator := .Values.operator -}}
{{- $ports := dict -}}
{{- $named := dict "operator.port" $operator.port "operator.metricsPort" $operator.metricsPort "operator.probePort" $operator.probePort -}}
{{- if .Values.observe.enabled -}}{{- $_ := set $named "observe.port" .Values.observe.port -}}{{- end -}}
{{- range $name := keys $named | sortAlpha -}}
{{- $port := get $named $name | int | toString -}}
{{- if hasKey $ports $port -}}
{{- fail (printf "%s and %s are both %s; the operator's ports have to differ" (get $ports $port) $name $port) -}}
{{- end -}}
{{- $_ := set $ports $port $name -}}
{{- end -}}
{{- if eq (int .Values.agent.metricsPort) (int .Values.agent.probePort) -}}
{{- fail (printf "agent.metricsPort and agent.probePort are both %d; they have to differ" (int .Values.agent.metricsPort)) -}}
{{- end -}}
{{- range $component := list "operator" "watchdog" "agent" "uninstall" -}}
{{- $resources := (index $.Values $component).resources -}}
{{- range $name, $limit := $resources.limits -}}
{{- $request := index ($resources.requests | default dict) $name -}}
{{- if and $request (lt (include "portcullis.quantity" $limit | float64) (include "portcullis.quantity" $request | float64)) -}}
{{- fail (printf "%s.resources: the limit of %s, %v, is below the request, %v" $component $name $limit $request) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $release := include "portcullis.otherReleases" . | fromYamlArray -}}
{{- fail (printf "release %s is installed in this cluster already: two operators would write the same status, and two agents take one node; upgrade that one, or uninstall it first" $release) -}}
{{- end -}}
{{- end -}}

{{- /* A quantity of Kubernetes as a number. */ -}}
{{- define "portcullis.quantity" -}}
{{- $text := toString . -}}
{{- $number := regexFind "^[0-9.]+" $text -}}
{{- $factors := dict "" 1.0 "m" 0.001 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 -}}
{{- printf "%f" (mulf (float64 $number) (index $factors (trimPrefix $number $text))) -}}
{{- end -}}

{{- /* Operators of other releases, `namespace/release`; none where Helm renders without a cluster. */ -}}
{{- define "portcullis.otherReleases" -}}
{{- $found := list -}}
{{- range (lookup "apps/v1" "Deployment" "" "").items | default list -}}
{{- $labels := .metadata.labels | default dict -}}
{{- $is := and (eq (get $labels "app.kubernetes.io/part-of") "portcullis") (eq (get $labels "app.kubernetes.io/component") "operator") -}}
{{- $ours := and (eq .metadata.namespace $.Release.Namespace) (eq (get $labels "app.kubernetes.io/instance") $.Release.Name) -}}
{{- if and $is (not $ours) -}}
{{- $found = append $found (printf "%s/%s" .metadata.namespace (get $labels "app.kubernetes.io/instance")) -}}
{{- end -}}
{{- end -}}
{{- toYaml $found -}}
{{- end -}}
