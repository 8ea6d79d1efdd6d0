/** What to do about a refusal on the way to the operator. */

interface Named {
  name: string;
  namespace: string;
}

/** A sentence to put behind the words of kubectl; empty where they say all. */
export function observeHint(message: string, account: Named, target: { service: string; namespace: string }): string {
  const hint = hintFor(message, account, target);
  return hint === null ? "" : `\n${hint}`;
}

function hintFor(message: string, account: Named, target: { service: string; namespace: string }): string | null {
  const { name, namespace } = account;
  if (/"?serviceaccounts\/token"?/.test(message)) {
    return (
      `You need the right to make tokens for ServiceAccount ${name} in namespace ${namespace}: the Role ` +
      `portcullis-observer there gives it. With an account of the pod's own namespace: --service-account NAME`
    );
  }
  if (/serviceaccounts? "[^"]+" not found/.test(message)) {
    return (
      `Portcullis makes that account where observe.enabled is true in the chart. If it is installed elsewhere, name its ` +
      "namespace with --system-namespace; an account of your own with --service-account"
    );
  }
  if (/services\/proxy|cannot create resource "services\/proxy"/.test(message)) {
    return (
      `You need the right to post to the Service ${target.service} in namespace ${target.namespace} (create services/proxy): ` +
      "the Role portcullis-observer-way there gives it"
    );
  }
  if (/services? "[^"]+" not found/.test(message) || /no endpoints available/.test(message)) {
    return (
      `Is an operator ready in namespace ${target.namespace}, with observe.enabled? Other names: --system-namespace, ` +
      "--operator-service"
    );
  }
  if (/pods\/verdicts/.test(message)) {
    return (
      `Let ServiceAccount ${name} see them: kubectl create rolebinding observer --clusterrole=portcullis-observer ` +
      `--serviceaccount=${namespace}:${name} --namespace=NAMESPACE`
    );
  }
  return null;
}
