package main

import (
	"errors"
	"fmt"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/apis/apps"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	appsvalidation "k8s.io/kubernetes/pkg/apis/apps/validation"
	"k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	corevalidation "k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/apis/networking"
	_ "k8s.io/kubernetes/pkg/apis/networking/install"
	networkingvalidation "k8s.io/kubernetes/pkg/apis/networking/validation"
	"k8s.io/kubernetes/pkg/apis/policy"
	_ "k8s.io/kubernetes/pkg/apis/policy/install"
	policyvalidation "k8s.io/kubernetes/pkg/apis/policy/validation"
	podsecurity "k8s.io/pod-security-admission/api"
	podsecuritypolicy "k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// An unknown or repeated field is an error, as with kubectl's --validate=strict.
var decoder = serializer.NewCodecFactory(legacyscheme.Scheme, serializer.EnableStrict).UniversalDecoder()

func kubernetes(folders []string) error {
	var wrong []error
	for _, folder := range folders {
		built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
		if err != nil {
			return fmt.Errorf("%s: %w", folder, err)
		}
		levels, err := enforcedLevels(built)
		if err != nil {
			return err
		}
		for _, resource := range built.Resources() {
			text, err := resource.AsYAML()
			if err != nil {
				return err
			}
			name := fmt.Sprintf("%s %s/%s", folder, resource.GetKind(), resource.GetName())
			if err := errors.Join(check(resource.GetKind(), text), checkPodSecurity(resource.GetKind(), text, levels)); err != nil {
				wrong = append(wrong, fmt.Errorf("%s: %w", name, err))
			} else {
				fmt.Println(name)
			}
		}
	}
	return errors.Join(wrong...)
}

func check(kind string, text []byte) error {
	switch kind {
	case "ServiceMonitor":
		return checkServiceMonitor(text)
	case "PodMonitor":
		return checkPodMonitor(text)
	case "PrometheusRule":
		return checkPrometheusRule(text)
	}
	object, _, err := decoder.Decode(text, nil, nil)
	if err != nil {
		return err
	}
	found, err := validate(object)
	if err != nil {
		return err
	}
	return found.ToAggregate()
}

// The API server's own checks, run after its own defaults.
func validate(object runtime.Object) (field.ErrorList, error) {
	pod := corevalidation.PodValidationOptions{}
	switch it := object.(type) {
	case *core.Namespace:
		return corevalidation.ValidateNamespace(it), nil
	case *core.Service:
		// The server fills the list from the single field before it validates.
		if it.Spec.ClusterIP != "" && len(it.Spec.ClusterIPs) == 0 {
			it.Spec.ClusterIPs = []string{it.Spec.ClusterIP}
		}
		return corevalidation.ValidateServiceCreate(it), nil
	case *core.ConfigMap:
		return corevalidation.ValidateConfigMap(it), nil
	case *apps.Deployment:
		return appsvalidation.ValidateDeployment(it, pod), nil
	case *apps.DaemonSet:
		return appsvalidation.ValidateDaemonSet(it, pod), nil
	case *apps.StatefulSet:
		return appsvalidation.ValidateStatefulSet(it, appsvalidation.StatefulSetValidationOptions{}, pod), nil
	case *networking.NetworkPolicy:
		return networkingvalidation.ValidateNetworkPolicy(it, networkingvalidation.NetworkPolicyValidationOptions{}), nil
	case *policy.PodDisruptionBudget:
		return policyvalidation.ValidatePodDisruptionBudget(it, policyvalidation.PodDisruptionBudgetValidationOptions{}), nil
	}
	return nil, fmt.Errorf("no check for %T: add one", object)
}

// A custom resource: the operator's own types, strictly.
func checkServiceMonitor(text []byte) error {
	var monitor monitoring.ServiceMonitor
	if err := yaml.UnmarshalStrict(text, &monitor, yaml.DisallowUnknownFields); err != nil {
		return err
	}
	if len(monitor.Spec.Endpoints) == 0 || monitor.Spec.Endpoints[0].Port == "" {
		return errors.New("spec.endpoints names no port")
	}
	return nil
}

func checkPodMonitor(text []byte) error {
	var monitor monitoring.PodMonitor
	if err := yaml.UnmarshalStrict(text, &monitor, yaml.DisallowUnknownFields); err != nil {
		return err
	}
	if len(monitor.Spec.PodMetricsEndpoints) == 0 || monitor.Spec.PodMetricsEndpoints[0].Port == nil {
		return errors.New("spec.podMetricsEndpoints names no port")
	}
	if len(monitor.Spec.Selector.MatchLabels) == 0 {
		return errors.New("spec.selector would take every pod")
	}
	return nil
}

func checkPrometheusRule(text []byte) error {
	var rule monitoring.PrometheusRule
	if err := yaml.UnmarshalStrict(text, &rule, yaml.DisallowUnknownFields); err != nil {
		return err
	}
	for _, group := range rule.Spec.Groups {
		for _, one := range group.Rules {
			if (one.Alert == "") == (one.Record == "") || one.Expr.String() == "" {
				return fmt.Errorf("spec.groups: a rule of %s has no name or no expression", group.Name)
			}
		}
	}
	if len(rule.Spec.Groups) == 0 {
		return errors.New("spec.groups is empty")
	}
	return nil
}

// Namespace → the level of pod security that its label enforces.
func enforcedLevels(built resmap.ResMap) (map[string]podsecurity.LevelVersion, error) {
	levels := map[string]podsecurity.LevelVersion{}
	usual := podsecurity.LevelVersion{Level: podsecurity.LevelPrivileged, Version: podsecurity.LatestVersion()}
	for _, resource := range built.Resources() {
		if resource.GetKind() != "Namespace" {
			continue
		}
		parsed, found := podsecurity.PolicyToEvaluate(resource.GetLabels(), podsecurity.Policy{Enforce: usual, Audit: usual, Warn: usual})
		if len(found) > 0 {
			return nil, found.ToAggregate()
		}
		levels[resource.GetName()] = parsed.Enforce
	}
	return levels, nil
}

// What the admission of pods would say in that namespace: it would refuse pods while the API server takes the Deployment that makes them.
func checkPodSecurity(kind string, text []byte, levels map[string]podsecurity.LevelVersion) error {
	var template *corev1.PodTemplateSpec
	var namespace string
	switch kind {
	case "Deployment", "DaemonSet", "StatefulSet":
		var it struct {
			metav1.ObjectMeta `json:"metadata"`
			Spec              struct {
				Template corev1.PodTemplateSpec `json:"template"`
			} `json:"spec"`
		}
		if err := yaml.Unmarshal(text, &it); err != nil {
			return err
		}
		template, namespace = &it.Spec.Template, it.Namespace
	default:
		return nil
	}
	level, known := levels[namespace]
	if !known {
		return fmt.Errorf("namespace %q is not among the resources", namespace)
	}
	evaluator, err := podsecuritypolicy.NewEvaluator(podsecuritypolicy.DefaultChecks(), nil)
	if err != nil {
		return err
	}
	result := podsecuritypolicy.AggregateCheckResults(evaluator.EvaluatePod(level, &template.ObjectMeta, &template.Spec))
	if !result.Allowed {
		return fmt.Errorf("pod security %s: %s", level.Level, result.ForbiddenDetail())
	}
	return nil
}
