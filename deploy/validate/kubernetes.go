package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
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
	"sigs.k8s.io/kustomize/api/krusty"
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
		for _, resource := range built.Resources() {
			text, err := resource.AsYAML()
			if err != nil {
				return err
			}
			name := fmt.Sprintf("%s %s/%s", folder, resource.GetKind(), resource.GetName())
			if err := check(resource.GetKind(), text); err != nil {
				wrong = append(wrong, fmt.Errorf("%s: %w", name, err))
			} else {
				fmt.Println(name)
			}
		}
	}
	return errors.Join(wrong...)
}

func check(kind string, text []byte) error {
	if kind == "ServiceMonitor" {
		return checkServiceMonitor(text)
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
		return corevalidation.ValidateServiceCreate(it), nil
	case *core.ServiceAccount:
		return corevalidation.ValidateServiceAccount(it), nil
	case *core.ConfigMap:
		return corevalidation.ValidateConfigMap(it), nil
	case *core.PersistentVolumeClaim:
		return corevalidation.ValidatePersistentVolumeClaim(it, corevalidation.PersistentVolumeClaimSpecValidationOptions{}), nil
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
	if len(monitor.Spec.Endpoints) == 0 || len(bytes.TrimSpace([]byte(monitor.Spec.Endpoints[0].Port))) == 0 {
		return errors.New("spec.endpoints names no port")
	}
	if strings.TrimSpace(monitor.APIVersion) != "monitoring.coreos.com/v1" {
		return fmt.Errorf("apiVersion %q", monitor.APIVersion)
	}
	return nil
}
